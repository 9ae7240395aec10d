"""The inbox: each file that is dropped becomes one batch, whoever is killed when; nothing is lost and nothing overwritten."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from sqlmodel import select

from domain.errors import ServiceMissing
from files.drop_folders import DropFolders
from models.tables import Batch
from tasks import inbox
from tasks.inbox import Swept, sweep
from tasks.surroundings import Surroundings
from tests.factories import act, deploy, process, race

LIST = "first_name,email,phone\nAnn,ann@mail.example,\n"
OTHER = "first_name,email,phone\nBob,bob@mail.example,\n"
SENDER = "inbox@acme.example"
KEY = "small"


class Killed(BaseException):
    """The process is gone at this point."""


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """The inbox, with nothing in it."""
    return tmp_path / "inbox"


@pytest.fixture
def with_inbox(around: Surroundings, box: Path) -> Surroundings:
    """Surroundings with an inbox and one live process."""
    deploy(around.database, process(key=KEY))
    return at(around, str(box))


def at(around: Surroundings, url: str) -> Surroundings:
    changes = {"inbox_url": url, "inbox_sender": SENDER}
    return dataclasses.replace(around, settings=around.settings.model_copy(update=changes))


def drop(box: Path, name: str | bytes = "march.csv", text: str = LIST, *, seconds_ago: float = 3600) -> Path:
    """A file that was last written to some time ago."""
    folder = box / KEY
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / os.fsdecode(name)
    path.write_text(text)
    then = time.time() - seconds_ago
    os.utime(path, (then, then))
    return path


def start(batch_id: int, _name: str, _tags: list[str]) -> str:
    return f"run-{batch_id}"


def made(around: Surroundings) -> list[Batch]:
    with around.database.read() as session:
        found = list(session.exec(select(Batch).order_by(Batch.id)))  # type: ignore[arg-type]  # a column
        session.expunge_all()
        return found


def lying(box: Path) -> list[str]:
    """Every file of the inbox, by its place below the process's folder."""
    return sorted(str(path.relative_to(box / KEY)) for path in (box / KEY).rglob("*") if path.is_file())


def test_a_file_becomes_a_batch_and_lies_in_done(with_inbox: Surroundings, box: Path) -> None:
    drop(box)

    assert sweep(with_inbox, start=start) == Swept(made=1)

    [batch] = made(with_inbox)
    assert (batch.name, batch.file_name, batch.sender, batch.row_count) == ("march", "march.csv", SENDER, 1)
    assert batch.flow_run_id == f"run-{batch.id}"
    assert lying(box) == ["done/march.csv"]
    assert (box / KEY / "done" / "march.csv").read_text() == LIST
    with with_inbox.storage.local(batch.upload_key) as kept:
        assert kept.read_text() == LIST


def test_nothing_is_done_where_no_inbox_is_set(around: Surroundings) -> None:
    assert sweep(around, start=start) == Swept()


def test_the_folder_of_each_process_is_there_to_drop_into(with_inbox: Surroundings, box: Path) -> None:
    assert sweep(with_inbox, start=start) == Swept()

    assert [path.name for path in box.iterdir()] == [KEY]


def test_a_file_that_cannot_be_used_lies_in_failed_with_the_reason_beside_it(
    with_inbox: Surroundings, box: Path
) -> None:
    drop(box, "wrong.csv", "colour,size\nred,9\n")

    assert sweep(with_inbox, start=start) == Swept(failed=1)

    assert made(with_inbox) == []
    assert lying(box) == ["failed/wrong.csv", "failed/wrong.csv.reason.txt"]
    assert "colour" in (box / KEY / "failed" / "wrong.csv.reason.txt").read_text()


def test_a_file_for_a_draft_fails_with_what_to_do(around: Surroundings, box: Path) -> None:
    from models import processes  # noqa: PLC0415  only here

    with around.database.write() as session:
        processes.deploy(session, process(key=KEY), draft=True, now=act().now)
    drop(box)

    assert sweep(at(around, str(box)), start=start) == Swept(failed=1)

    assert "is a draft" in (box / KEY / "failed" / "march.csv.reason.txt").read_text()


def test_a_file_over_the_limit_is_not_even_copied(with_inbox: Surroundings, box: Path) -> None:
    small = dataclasses.replace(with_inbox, settings=with_inbox.settings.model_copy(update={"upload_megabytes": 1}))
    drop(box, text=LIST + "x" * 1024 * 1024)

    assert sweep(small, start=start) == Swept(failed=1)

    assert "larger than 1 MB" in (box / KEY / "failed" / "march.csv.reason.txt").read_text()


@pytest.mark.parametrize("name", [".march.csv", "~$march.xlsx", "march.csv.part", "march.csv.TMP", "march.filepart"])
def test_what_is_hidden_or_still_being_written_is_left_alone(with_inbox: Surroundings, box: Path, name: str) -> None:
    drop(box, name)

    assert sweep(with_inbox, start=start) == Swept()
    assert lying(box) == [name]


def test_a_file_that_was_just_written_to_has_time(with_inbox: Surroundings, box: Path) -> None:
    drop(box, seconds_ago=5)

    assert sweep(with_inbox, start=start) == Swept()
    assert lying(box) == ["march.csv"]


def test_a_file_that_grows_while_it_is_taken_waits_for_the_next_sweep(
    with_inbox: Surroundings, box: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, move = drop(box), DropFolders._move  # noqa: SLF001  the one step in which it can grow unseen

    def grow(self: DropFolders, source: str, target: str) -> None:
        with path.open("a") as writer:
            writer.write("Cid,cid@mail.example,\n")
        move(self, source, target)

    with monkeypatch.context() as patch:
        patch.setattr(DropFolders, "_move", grow)
        assert sweep(with_inbox, start=start) == Swept()
    assert made(with_inbox) == []

    [taken] = (box / KEY / ".taken").iterdir()
    os.utime(taken, (1.0, 1.0))
    assert sweep(with_inbox, start=start) == Swept(made=1)
    assert [batch.row_count for batch in made(with_inbox)] == [2]


def test_another_file_of_the_same_name_is_another_batch_and_overwrites_nothing(
    with_inbox: Surroundings, box: Path
) -> None:
    drop(box)
    sweep(with_inbox, start=start)
    drop(box, text=OTHER)

    assert sweep(with_inbox, start=start) == Swept(made=1)

    assert len(made(with_inbox)) == 2
    first, second = sorted((box / KEY / "done").iterdir(), key=lambda path: len(path.name))
    assert (first.read_text(), second.read_text()) == (LIST, OTHER)


HOSTILE = [
    b"march\nDROP TABLE batch.csv",
    b"=cmd|' C calc'!A0.csv",
    b"\xff\xfe\x80.csv",
    b"<script>alert(1)<%2fscript>.csv",
    "\u202eCSV.exe".encode(),
    b"x" * 250 + b".csv",
    "ü".encode() * 120 + b".csv",
    b"'; --",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_do_no_harm(with_inbox: Surroundings, box: Path, name: bytes) -> None:
    drop(box, name)

    assert sweep(with_inbox, start=start) == Swept(made=1)

    [batch] = made(with_inbox)
    batch.file_name.encode()
    assert "/" not in batch.file_name
    assert all(sign.isprintable() for sign in batch.file_name)
    assert [place.split("/")[0] for place in lying(box)] == ["done"]


def test_a_link_to_another_place_is_not_followed(with_inbox: Surroundings, box: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text(LIST)
    os.utime(secret, (1.0, 1.0))
    drop(box, "real.csv").unlink()
    link = box / KEY / "link.csv"
    link.symlink_to(secret)
    os.utime(link, (1.0, 1.0), follow_symlinks=False)

    assert sweep(with_inbox, start=start) == Swept(failed=1)

    assert made(with_inbox) == []
    assert secret.read_text() == LIST
    assert "link" in (box / KEY / "failed" / "link.csv.reason.txt").read_text()


def test_a_reason_is_not_written_through_a_link(with_inbox: Surroundings, box: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("mine")
    drop(box, "wrong.csv", "colour\nred\n")
    (box / KEY / "failed").mkdir()
    (box / KEY / "failed" / "wrong.csv.reason.txt").symlink_to(victim)

    assert sweep(with_inbox, start=start) == Swept(failed=1)

    assert victim.read_text() == "mine"


def test_while_prefect_is_away_a_file_is_kept_for_the_next_sweep(with_inbox: Surroundings, box: Path) -> None:
    def away(*_run: object) -> str:
        raise ServiceMissing("Prefect's server does not answer.")

    drop(box)
    drop(box, "wrong.csv", "colour\nred\n")

    assert sweep(with_inbox, start=away) == Swept(failed=1, left=1)
    assert made(with_inbox) == []

    assert sweep(with_inbox, start=start) == Swept(made=1)
    assert "done/march.csv" in lying(box)


Step = tuple[object, str, bool]
STEPS: dict[str, Step] = {
    "before it is taken": (DropFolders, "take", False),
    "after it was taken": (DropFolders, "take", True),
    "before the copy": (DropFolders, "copy", False),
    "after the copy": (DropFolders, "copy", True),
    "before the batch": (inbox, "create", False),
    "after the batch": (inbox, "create", True),
    "before the end": (DropFolders, "finish", False),
    "after the end": (DropFolders, "finish", True),
}


def killed_at(step: Step, patch: pytest.MonkeyPatch) -> None:
    """Let whoever comes to this step be gone, before or after it was done."""
    owner, name, is_after = step
    real: Callable[..., object] = getattr(owner, name)

    def die(*arguments: object, **named: object) -> object:
        if is_after:
            real(*arguments, **named)
        raise Killed

    patch.setattr(owner, name, die)


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_killed_between_any_two_steps_a_file_is_one_batch(
    with_inbox: Surroundings, box: Path, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    drop(box)
    with monkeypatch.context() as patch:
        killed_at(step, patch)
        with pytest.raises(Killed):
            sweep(with_inbox, start=start)

    sweep(with_inbox, start=start)

    assert len(made(with_inbox)) == 1
    assert lying(box) == ["done/march.csv"]


@pytest.mark.parametrize("step", ["before the end", "after the copy"])
def test_killed_with_a_bad_file_it_fails_once(
    with_inbox: Surroundings, box: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    drop(box, "wrong.csv", "colour\nred\n")
    with monkeypatch.context() as patch:
        killed_at(STEPS[step], patch)
        with pytest.raises(Killed):
            sweep(with_inbox, start=start)

    sweep(with_inbox, start=start)

    assert lying(box) == ["failed/wrong.csv", "failed/wrong.csv.reason.txt"]


def test_sweeps_at_once_make_one_batch_of_each_file(with_inbox: Surroundings, box: Path) -> None:
    for number in range(3):
        drop(box, f"list-{number}.csv", LIST + f"Bob {number},bob{number}@mail.example,\n")

    ends = race(*[lambda: sweep(with_inbox, start=start)] * 3)

    assert all(isinstance(end, Swept) and end.left == 0 for end in ends), ends
    assert sorted(batch.file_name for batch in made(with_inbox)) == ["list-0.csv", "list-1.csv", "list-2.csv"]
    assert lying(box) == ["done/list-0.csv", "done/list-1.csv", "done/list-2.csv"]


@pytest.mark.parametrize("step", ["_changed", "copy", "finish"])
@pytest.mark.parametrize("text", [LIST, "colour\nred\n"], ids=["good", "bad"])
@pytest.mark.parametrize("taken", [False, True], ids=["dropped", "taken before"])
def test_another_sweep_that_is_done_first_is_no_trouble(
    with_inbox: Surroundings, box: Path, monkeypatch: pytest.MonkeyPatch, step: str, text: str, taken: bool
) -> None:
    drop(box, text=text)
    if taken:
        with monkeypatch.context() as patch:
            killed_at(STEPS["after the copy"], patch)
            with pytest.raises(Killed):
                sweep(with_inbox, start=start)
    real = getattr(DropFolders, step)
    others: list[Swept | None] = []

    def after_another_sweep(*given: Any, **named: Any) -> Any:
        if not others:
            others.append(None)
            others.append(sweep(with_inbox, start=start))
        return real(*given, **named)

    monkeypatch.setattr(DropFolders, step, after_another_sweep)

    swept = sweep(with_inbox, start=start)

    assert (swept.left, others[1]) == (0, Swept(made=1) if text == LIST else Swept(failed=1))
    assert len(made(with_inbox)) == (text == LIST)
    assert lying(box) == (["done/march.csv"] if text == LIST else ["failed/march.csv", "failed/march.csv.reason.txt"])


def test_a_file_that_two_have_taken_out_of_a_bucket_is_one_batch(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There, taking is a copy and a removal, and one that was killed between them leaves both."""
    deploy(around.database, process(key=KEY))
    bucket = fsspec.filesystem("memory")
    bucket.rm("/bucket", recursive=True) if bucket.exists("/bucket") else None
    bucket.pipe_file(f"/bucket/{KEY}/march.csv", LIST.encode())
    monkeypatch.setattr(inbox, "AT_REST", -inbox.AT_REST)  # its clock cannot be set back
    swept = at(around, "memory://bucket")

    def copy_only(self: DropFolders, source: str, target: str) -> None:
        self._files.copy(source, target)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(DropFolders, "_move", copy_only)
        with pytest.raises(Killed):
            sweep(swept, start=start)

    sweep(swept, start=start)

    assert len(made(around)) == 1
    left = [path for path in bucket.find("/bucket") if "/done/" not in path]
    assert left == []
    assert bucket.cat_file(f"/bucket/{KEY}/done/march.csv").decode() == LIST
