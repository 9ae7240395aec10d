"""Accounts in the database: who is signed in, whose key it is, which code holds, what was tried how often."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlmodel import Session

from domain.errors import NotAllowed, NotFound
from domain.rights import Role
from domain.states import Phase
from models import accounts
from models.accounts import Stretch
from models.database import Database
from models.tables import Account
from tests.factories import NOW, add_batch

MINUTE = timedelta(minutes=1)
STRETCH = Stretch(most=3, lasts=15 * MINUTE)


def ann(session: Session, *, role: Role = Role.APPROVER) -> Account:
    return accounts.add(session, "Ann@Acme.example", role, password_hash=None, now=NOW)


def test_an_account_is_found_however_its_email_is_spelled(database: Database) -> None:
    with database.write() as session:
        assert not accounts.exist(session)
        ann(session)

    with database.read() as session:
        assert accounts.exist(session)
        assert accounts.by_email(session, " ANN@acme.EXAMPLE ").email == "ann@acme.example"
        assert accounts.find(session, "bob@acme.example") is None
        with pytest.raises(NotFound, match="no user bob@"):
            accounts.by_email(session, "bob@acme.example")


def test_an_email_has_one_account(database: Database) -> None:
    with database.write() as session:
        ann(session)
        with pytest.raises(NotAllowed, match="already"):
            accounts.add(session, "ann@acme.example", Role.ADMIN, password_hash=None, now=NOW)


@pytest.mark.parametrize(
    ("seen_since", "began_since", "is_in"),
    [
        (NOW - MINUTE, NOW - MINUTE, True),
        (NOW, NOW - MINUTE, False),
        (NOW - MINUTE, NOW, False),
    ],
)
def test_a_sign_in_ends_when_it_was_left_alone_or_lasted_too_long(
    database: Database, seen_since: datetime, began_since: datetime, is_in: bool
) -> None:
    with database.write() as session:
        accounts.begin_sign_in(session, ann(session), "t" * 64, now=NOW)

    with database.read() as session:
        found = accounts.signed_in(session, "t" * 64, seen_since=seen_since, began_since=began_since)
        assert (found is not None) is is_in


def test_a_disabled_account_is_signed_in_nowhere_and_its_keys_hold_no_longer(database: Database) -> None:
    with database.write() as session:
        account = ann(session)
        accounts.begin_sign_in(session, account, "t" * 64, now=NOW)
        accounts.add_key(session, "nightly", account, "k" * 64, now=NOW)
        account.disabled_at = NOW
        session.add(account)

    with database.read() as session:
        assert accounts.signed_in(session, "t" * 64, seen_since=NOW - MINUTE, began_since=NOW - MINUTE) is None
        assert accounts.key_holder(session, "k" * 64) is None


def test_a_key_holds_until_it_is_revoked_and_its_name_stays_taken(database: Database) -> None:
    """The history names keys: one name must not be two programs."""
    with database.write() as session:
        accounts.add_key(session, "nightly", ann(session), "k" * 64, now=NOW)

    with database.write() as session:
        assert accounts.key_holder(session, "k" * 64) is not None
        accounts.revoke_key(session, "nightly", now=NOW)
        accounts.revoke_key(session, "nightly", now=NOW + MINUTE)

    with database.write() as session:
        assert accounts.key_holder(session, "k" * 64) is None
        assert [key.revoked_at for key, _ in accounts.keys(session)] == [NOW]
        with pytest.raises(NotAllowed, match="already"):
            accounts.add_key(session, "nightly", accounts.by_email(session, "ann@acme.example"), "l" * 64, now=NOW)
        with pytest.raises(NotFound, match="no key weekly"):
            accounts.revoke_key(session, "weekly", now=NOW)


def test_tries_are_let_through_up_to_the_most_and_then_from_the_end_of_the_stretch(database: Database) -> None:
    moments = [NOW, NOW + MINUTE, NOW + 2 * MINUTE, NOW + 3 * MINUTE, NOW + 14 * MINUTE, NOW + 15 * MINUTE]
    blocked = []
    for moment in moments:
        with database.write() as session:
            blocked.append(accounts.count_try(session, "who", STRETCH, now=moment))

    assert blocked == [None, None, None, NOW + 15 * MINUTE, NOW + 15 * MINUTE, None]


def test_tries_of_one_do_not_count_for_another_and_are_forgotten(database: Database) -> None:
    with database.write() as session:
        for _ in range(9):
            accounts.count_try(session, "who", STRETCH, now=NOW)
        assert accounts.count_try(session, "other", STRETCH, now=NOW) is None
        accounts.forget_tries(session, "who")
        assert accounts.count_try(session, "who", STRETCH, now=NOW) is None
        accounts.uncount_try(session, "who")
        assert [accounts.count_try(session, "who", STRETCH, now=NOW) is None for _ in range(4)] == [True] * 3 + [False]


def test_tries_at_the_same_moment_all_count(database: Database) -> None:
    """Else a guesser would send a thousand at once."""

    def once(_: int) -> bool:
        with database.write() as session:
            return accounts.count_try(session, "who", STRETCH, now=NOW) is None

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(once, range(24))) == STRETCH.most


def add_code(database: Database, *, expires_in: timedelta = MINUTE) -> int:
    batch_id = add_batch(database, phase=Phase.WAITING.value)
    with database.write() as session:
        accounts.add_code(
            session, "c" * 64, account=ann(session), batch_id=batch_id, revision=0, expires_at=NOW + expires_in
        )
    return batch_id


def test_a_code_is_used_once_however_many_try(database: Database) -> None:
    add_code(database)

    def use(_: int) -> bool:
        with database.write() as session:
            return accounts.use_code(session, "c" * 64, now=NOW) is not None

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(use, range(12))) == 1


def test_a_code_holds_until_it_expires_or_its_user_is_signed_out_everywhere(database: Database) -> None:
    add_code(database)

    with database.write() as session:
        assert accounts.use_code(session, "c" * 64, now=NOW + MINUTE) is None
        assert accounts.use_code(session, "d" * 64, now=NOW) is None
        accounts.end_sign_ins(session, accounts.by_email(session, "ann@acme.example"))
        assert accounts.use_code(session, "c" * 64, now=NOW) is None


def test_a_code_that_nobody_was_given_counts_and_never_holds(database: Database) -> None:
    batch_id = add_batch(database, phase=Phase.WAITING.value)
    with database.write() as session:
        accounts.add_code(session, "w" * 64, account=None, batch_id=batch_id, revision=0, expires_at=NOW + MINUTE)

    with database.write() as session:
        assert accounts.use_code(session, "w" * 64, now=NOW) is None
        assert accounts.wrong_codes(session, batch_id, now=NOW) == [NOW + MINUTE]
        assert accounts.wrong_codes(session, batch_id, now=NOW + MINUTE) == []
        assert accounts.wrong_codes(session, batch_id + 1, now=NOW) == []


def test_the_way_to_the_first_account_is_the_same_until_one_takes_it(database: Database) -> None:
    with database.write() as session:
        assert accounts.present_seed(session) is None
        assert [accounts.set_up_seed(session, seed) for seed in ("one", "two")] == ["one", "one"]

    def end(_: int) -> bool:
        with database.write() as session:
            return accounts.end_set_up(session)

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(end, range(8))) == 1


def test_what_has_no_meaning_any_more_is_forgotten(database: Database) -> None:
    with database.write() as session:
        account = ann(session)
        accounts.begin_sign_in(session, account, "o" * 64, now=NOW)
        accounts.begin_sign_in(session, account, "n" * 64, now=NOW + MINUTE)
        for _ in range(9):
            accounts.count_try(session, "who", STRETCH, now=NOW)
        accounts.tidy(session, sign_ins_before=NOW, tries_before=NOW)

    with database.write() as session:
        early = NOW - MINUTE
        assert accounts.signed_in(session, "o" * 64, seen_since=early, began_since=early) is None
        assert accounts.signed_in(session, "n" * 64, seen_since=early, began_since=early) is not None
        assert accounts.count_try(session, "who", STRETCH, now=NOW) is None
