"""What a link shows: the same facts and the same moment always show the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.link_life import (
    FIRST_LOCK,
    LONGEST_LOCK,
    NOTHING_KNOWN,
    TRIES_AT_ONCE,
    Facts,
    Standing,
    expires_at,
    is_scanner,
    lock_after,
    same_factor,
    standing,
)
from domain.processes import DataItem, ItemType
from tests.factories import NOW, process

SENT = Facts(is_valid=True, was_sent=True, is_approved=True, sent_at=NOW)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (SENT, Standing.OPEN),
        (replace(SENT, was_sent=False, sent_at=None), Standing.OPEN),  # on its way, and not recorded yet
        (replace(SENT, is_approved=False), Standing.OPEN),  # rejected after it had left
        (replace(SENT, is_approved=False, was_sent=False, sent_at=None), Standing.CLOSED),
        (replace(SENT, is_valid=False), Standing.CLOSED),
        (NOTHING_KNOWN, Standing.CLOSED),
        (replace(SENT, is_revoked=True), Standing.CLOSED),
        (replace(SENT, is_completed=True), Standing.DONE),
        (replace(SENT, is_completed=True, is_revoked=True), Standing.CLOSED),
        # Who was in time is thanked however late they send again.
        (replace(SENT, is_completed=True, batch_expires_at=NOW), Standing.DONE),
        (replace(SENT, batch_expires_at=NOW), Standing.CLOSED),
        (replace(SENT, batch_expires_at=NOW + DAY), Standing.OPEN),
        (replace(SENT, link_days=7, sent_at=NOW - 7 * DAY), Standing.CLOSED),
        (replace(SENT, link_days=7, sent_at=NOW - 7 * DAY + timedelta(seconds=1)), Standing.OPEN),
        (replace(SENT, link_days=7, sent_at=NOW - 8 * DAY, batch_expires_at=NOW + DAY), Standing.OPEN),
    ],
)
def test_a_link_stands_as_its_facts_say(facts: Facts, expected: Standing) -> None:
    assert standing(facts, now=NOW) == expected


def test_a_link_never_ends_by_itself_unless_somebody_said_so() -> None:
    assert expires_at(SENT) is None
    assert standing(SENT, now=NOW + 10_000 * DAY) == Standing.OPEN
    assert expires_at(replace(SENT, link_days=2)) == NOW + 2 * DAY


def test_every_fifth_wrong_try_locks_for_longer() -> None:
    locks = [lock_after(tries) for tries in range(5 * TRIES_AT_ONCE + 1)]

    assert [lock for lock in locks if lock] == [
        FIRST_LOCK,
        FIRST_LOCK * 4,
        FIRST_LOCK * 16,
        FIRST_LOCK * 64,
        LONGEST_LOCK,
    ]
    assert [tries for tries, lock in enumerate(locks) if lock] == [5, 10, 15, 20, 25]


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", False),
        ("Mozilla/5.0 (Linux; Android 12; CUBOT KINGKONG) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36", False),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", True),
        ("Mozilla/5.0 (compatible; BarracudaCentral)", True),
        ("Slackbot-LinkExpanding 1.0", True),
        ("WhatsApp/2.23.20", True),
        ("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/120.0", True),
        ("curl/8.5.0", True),
        ("", True),
        (None, True),
    ],
)
def test_programs_that_open_links_by_themselves_are_known(user_agent: str | None, expected: bool) -> None:
    assert is_scanner(user_agent) is expected


@pytest.mark.parametrize(
    ("item", "known", "right", "wrong"),
    [
        (DataItem(name="born", type=ItemType.DATE, format="%d.%m.%Y"), "1980-02-01", "01.02.1980", "02.01.1980"),
        (DataItem(name="born", type=ItemType.DATE), "1980-02-01", " 1980-02-01 ", "1980-02-02"),
        (DataItem(name="town", type=ItemType.TEXT), "Straße  am See", "strasse am SEE", "Strasse"),
        (DataItem(name="mail", type=ItemType.EMAIL), "Ann@Mail.example", "ann@mail.example", "bob@mail.example"),
        (DataItem(name="call", type=ItemType.PHONE), "+447400123456", "07400 123456", "07400 123457"),
        (DataItem(name="sum", type=ItemType.NUMBER), "1234.50", "1,234.50", "1234.5"),
        (DataItem(name="town", type=ItemType.TEXT), "", "", "x"),
    ],
)
def test_a_second_factor_is_compared_by_what_it_means(item: DataItem, known: str, right: str, wrong: str) -> None:
    definition = process()

    assert same_factor(item, right, known, definition=definition) is bool(known), "nobody knows an empty value"
    assert not same_factor(item, wrong, known, definition=definition)
