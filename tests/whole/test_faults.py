"""What the providers do wrong, and that nobody is written to twice or forgotten because of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.whole.installation import APPROVER, Installation
from tests.whole.people import Kind, Person, people, read_csv, write_csv

pytestmark = [pytest.mark.whole, pytest.mark.timeout(600)]

MIXED: tuple[Kind, ...] = ("email", "phone", "both") * 4
EMAILS: tuple[Kind, ...] = ("email",) * 6
PHONES: tuple[Kind, ...] = ("phone",) * 3


def numbers(messages: dict[str, list[dict[str, Any]]]) -> dict[str, int]:
    return {address: len(of_one) for address, of_one in messages.items()}


def one_each(persons: list[Person]) -> dict[str, int]:
    addresses = {person.email for person in persons if "Email" in person.channels}
    return dict.fromkeys(addresses | {person.phone_e164 for person in persons if "SMS" in person.channels}, 1)


def test_providers_that_ask_to_wait_get_everything_in_the_end(installation: Installation, tmp_path: Path) -> None:
    persons = people(*MIXED, tag="wait", block=20)
    installation.set_faults(sendgrid=[{"kind": "429", "next": 2}], twilio=[{"kind": "429", "next": 5}])
    view = installation.sent(write_csv(tmp_path / "wait.csv", persons))
    assert view["counts"]["sent"] == 12
    assert numbers(installation.arrived(persons)) == one_each(persons)


def test_refused_credentials_pause_the_batch_until_they_are_mended(installation: Installation, tmp_path: Path) -> None:
    persons = people("email", "phone", "both", "both", tag="key", block=21)
    batch_id, _ = installation.waiting(write_csv(tmp_path / "key.csv", persons))
    installation.set_faults(sendgrid=[{"kind": "401"}], twilio=[{"kind": "401"}])
    installation.approve(batch_id)

    refusal = installation.run("batch", "wait", batch_id, "--timeout", 150, code=1).stderr
    assert refusal.startswith(f"Batch {batch_id} is paused: ")
    assert "credentials" in refusal
    assert "HTTP 401" in refusal or "error 20003" in refusal  # whichever provider answered first
    assert refusal.count("\n") == 1
    view = installation.show(batch_id)
    assert (view["phase"], view["counts"]["sent"], view["counts"]["pending"]) == ("paused", 0, 4)
    assert view["reason"] in refusal

    installation.set_faults()
    installation.run("batch", "resume", batch_id, "--by", APPROVER)
    view = installation.wait(batch_id)
    assert (view["phase"], view["reason"], view["counts"]["sent"]) == ("finished", None, 4)
    assert numbers(installation.arrived(persons)) == one_each(persons)


def test_a_server_error_after_the_acceptance_is_settled_by_receipts_and_never_sent_again(
    installation: Installation, tmp_path: Path
) -> None:
    """The provider took the emails and then failed: to repeat the request would write to everyone twice."""
    persons = people(*EMAILS, *PHONES, tag="doubt", block=22)
    batch_id, _ = installation.waiting(write_csv(tmp_path / "doubt.csv", persons))
    installation.set_faults(sendgrid=[{"kind": "5xx_after", "next": 1}])
    installation.approve(batch_id)
    installation.run("batch", "wait", batch_id, "--timeout", 150)

    view = installation.show(batch_id)
    assert view["phase"] == "finished"
    assert view["counts"] == {
        "rows": 9, "valid": 9, "invalid": 0, "sent": 9, "failed": 0, "pending": 0, "in_doubt": 0, "unresolved": 0,
    }  # fmt: skip
    assert numbers(installation.arrived(persons)) == one_each(persons)
    rows = read_csv(installation.download(batch_id, tmp_path / "result.csv"))
    assert [row["Sending Status"] for row in rows] == ["Sent"] * 9


PERMIT = """
import sys
from tasks.credentials import BLOCK, SendGridAccount

account = SendGridAccount.load(BLOCK)
account.senders = sys.argv[1:]
account.save(BLOCK, overwrite=True)
"""


def test_a_sender_that_the_account_does_not_permit_halts_the_batch(installation: Installation, tmp_path: Path) -> None:
    """People set the permitted senders in Prefect's blocks; nothing leaves from another one."""
    persons = people("email", "phone", tag="sender", block=23)
    batch_id, _ = installation.waiting(write_csv(tmp_path / "sender.csv", persons))
    permit(installation, "somebody.else@acme.example")
    installation.approve(batch_id)

    refusal = installation.run("batch", "wait", batch_id, "--timeout", 150, code=1).stderr
    assert "does not permit the sender renewals@acme.example" in refusal
    assert installation.arrived(persons) == {}

    permit(installation)
    installation.run("batch", "resume", batch_id, "--by", APPROVER)
    assert installation.wait(batch_id)["counts"]["sent"] == 2


def permit(installation: Installation, *senders: str) -> None:
    subprocess.run(
        [sys.executable, "-c", PERMIT, *senders],
        env={
            **installation.environment,
            "PREFECT_API_URL": f"{installation.prefect}/api",
            "PREFECT_HOME": str(installation.home / "prefect"),
        },
        cwd=Path(__file__).parents[2],
        timeout=60,
        check=True,
    )
