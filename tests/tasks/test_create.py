"""Making a batch: once for the same thing, however often and by however many it is tried."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from sqlmodel import select

from domain.errors import FileProblem, NotAllowed, ServiceMissing
from models import batches
from models.tables import Batch
from tasks.create import create, uid_of
from tasks.fetch import create_from
from tasks.surroundings import Surroundings
from tests.factories import deploy, process, race

LIST = "first_name,email,phone\nAnn,ann@mail.example,\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "list.csv"
    path.write_text(LIST)
    return path


def start(batch_id: int, _name: str, _tags: list[str]) -> str:
    return f"run-{batch_id}"


def made(around: Surroundings) -> list[Batch]:
    with around.database.read() as session:
        found = list(session.exec(select(Batch)))
        session.expunge_all()
        return found


def kept(around: Surroundings) -> int:
    """How many files the storage holds."""
    return sum(path.is_file() for path in Path(around.settings.storage).rglob("*"))


def by_form(around: Surroundings, file: Path, *, run_id: str = "run", name: str = "") -> int:
    return create_from(
        around, str(file), process_key="small", sender="op@acme.example", code="", name=name, run_id=run_id, start=start
    )


def test_the_same_run_of_the_form_makes_one_batch(around: Surroundings, file: Path) -> None:
    deploy(around.database, process())

    first = by_form(around, file)
    file.unlink()  # where it was made already, the file is not needed again
    assert by_form(around, file) == first

    [batch] = made(around)
    assert (batch.name, batch.file_name, batch.sender) == ("list", "list.csv", "op@acme.example")
    with around.database.read() as session:
        assert [(one.by, one.via) for one in batches.decisions(session, first)] == [("op@acme.example", "Prefect UI")]


def test_another_run_of_the_form_makes_another(around: Surroundings, file: Path) -> None:
    deploy(around.database, process())

    assert by_form(around, file, run_id="a") != by_form(around, file, run_id="b", name=" March ")
    assert [batch.name for batch in made(around)] == ["list", "March"]


def test_many_at_once_make_one_and_keep_its_files_alone(around: Surroundings, file: Path) -> None:
    deploy(around.database, process())

    ids = race(*[lambda: by_form(around, file)] * 4)

    [batch] = made(around)
    assert ids == [batch.id] * 4
    assert kept(around) == 2
    with around.storage.local(batch.upload_key) as upload:
        assert upload.read_text() == LIST


def test_nothing_is_left_of_one_that_cannot_be_started(around: Surroundings, file: Path) -> None:
    deploy(around.database, process())

    def away(*_run: object) -> str:
        raise ServiceMissing("Prefect's server does not answer.")

    with pytest.raises(ServiceMissing):
        create_from(
            around, str(file), process_key="small", sender="op@acme.example", code="", name="", run_id="run", start=away
        )

    assert (made(around), kept(around)) == ([], 0)
    assert by_form(around, file)


def test_a_file_or_a_process_that_cannot_be_used_makes_none(around: Surroundings, file: Path) -> None:
    deploy(around.database, process())
    file.write_text("colour\nred\n")

    with pytest.raises(FileProblem):
        by_form(around, file)
    with pytest.raises(NotAllowed, match="data folder"):
        by_form(around, around.settings.home / "secret.key")

    assert (made(around), kept(around)) == ([], 0)
    assert list((around.settings.home / "scratch").iterdir()) == []


def test_a_uid_is_that_of_its_facts_and_of_this_installation(around: Surroundings) -> None:
    uid = uid_of(around, "inbox", "a", 1)

    assert uid == uid_of(around, "inbox", "a", 1)
    assert uuid.UUID(uid).hex == uid
    assert (
        len({uid, uid_of(around, "inbox", "a1", 1), uid_of(around, "inbox", "a", 11), uid_of(around, "inboxa", 1)}) == 4
    )


def test_the_usual_way_makes_a_batch_each_time(around: Surroundings, file: Path) -> None:
    deploy(around.database, process())
    for _ in range(2):
        create(around, file, process_key="small", sender="op@acme.example", name=None, start=start)
    assert len(made(around)) == 2
