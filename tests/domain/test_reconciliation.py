"""The books: every row stands in one place, and what is missing shows."""

from __future__ import annotations

from domain.reconciliation import Account, Reconciliation, as_markdown, lines

NAMES = {"email": "Email", "sms": "SMS"}


def test_the_books_balance_when_every_row_is_somewhere_on_every_channel() -> None:
    account = Account(
        sent=3, failed=1, held=1, stopped=1, unresolved=1, in_doubt=1, pending=1, no_address=1, rejected=1
    )
    assert account.total == 11
    assert Reconciliation(11, {"email": account}).balances
    assert not Reconciliation(12, {"email": account}).balances
    assert not Reconciliation(11, {"email": account, "sms": Account(sent=10)}).balances


def test_the_books_are_closed_when_nothing_waits() -> None:
    assert Reconciliation(2, {"email": Account(sent=1, unresolved=1)}).is_closed
    assert not Reconciliation(2, {"email": Account(sent=1, in_doubt=1)}).is_closed
    assert not Reconciliation(2, {"email": Account(sent=2), "sms": Account(pending=2)}).is_closed


def test_people_read_what_is_there_and_the_sum() -> None:
    books = Reconciliation(1200, {"email": Account(sent=1199, rejected=1), "sms": Account(no_address=1199, rejected=1)})
    assert lines(books, names=NAMES) == [
        ("Email: Sent", "1,199"),
        ("Email: Row not usable", "1"),
        ("Email: all rows", "1,200 of 1,200"),
        ("SMS: No address here", "1,199"),
        ("SMS: Row not usable", "1"),
        ("SMS: all rows", "1,200 of 1,200"),
    ]
    assert as_markdown(books, names=NAMES).splitlines() == [
        "|  | Email | SMS |",
        "| --- | ---: | ---: |",
        "| Sent | 1,199 | 0 |",
        "| No address here | 0 | 1,199 |",
        "| Row not usable | 1 | 1 |",
        "| **All rows** | **1,200** | **1,200** |",
        "",
        "Every row of the file is accounted for.",
    ]
    assert "do not balance" in as_markdown(Reconciliation(7, books.channels), names=NAMES)
