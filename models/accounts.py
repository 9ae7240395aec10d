"""Accounts: users, where they are signed in, their programs' keys, their approval codes, and what was tried in vain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, text, update
from sqlmodel import Session, col, func, select

from domain.errors import NotAllowed, NotFound
from domain.rights import Role, known_as
from models.bulk import changed_rows
from models.tables import Account, ApiKey, ApprovalCode, SetUp, SignIn, Tries, UtcDateTime

_TRY = (
    text(
        """
        INSERT INTO tries (what, number, since) VALUES (:what, 1, :now)
        ON CONFLICT (what) DO UPDATE SET
            number = CASE WHEN tries.since <= :long_ago THEN 1 ELSE tries.number + 1 END,
            since = CASE WHEN tries.since <= :long_ago THEN :now ELSE tries.since END
        RETURNING number, since
        """
    )
    .bindparams(bindparam("now", type_=UtcDateTime()), bindparam("long_ago", type_=UtcDateTime()))
    .columns(since=UtcDateTime())
)
_FIRST_SEED = text("INSERT INTO set_up (id, seed) VALUES (1, :seed) ON CONFLICT (id) DO NOTHING")


def exist(session: Session) -> bool:
    """Whether there is any account, disabled or not."""
    return session.exec(select(Account.id).limit(1)).first() is not None


def add(session: Session, email: str, role: Role, *, password_hash: str | None, now: datetime) -> Account:
    """Make an account.

    Raises:
        NotAllowed: there is one of that email.
    """
    if find(session, email) is not None:
        raise NotAllowed(f"There is a user {known_as(email)} already. See which there are: bulk-sender user list")
    account = Account(email=known_as(email), role=role.value, password_hash=password_hash, created_at=now)
    session.add(account)
    session.flush()
    return account


def find(session: Session, email: str) -> Account | None:
    """The account of an email, however it is spelled."""
    return session.exec(select(Account).where(Account.email == known_as(email))).first()


def by_email(session: Session, email: str) -> Account:
    """The account of an email.

    Raises:
        NotFound: there is none.
    """
    account = find(session, email)
    if account is None:
        raise NotFound(f"There is no user {known_as(email)}. See which there are: bulk-sender user list")
    return account


def id_of(account: Account) -> int:
    """The id of an account that was written."""
    if account.id is None:
        message = "the account was not written yet"
        raise ValueError(message)
    return account.id


def listed(session: Session) -> list[Account]:
    """All accounts, by email."""
    return list(session.exec(select(Account).order_by(col(Account.email))).all())


def active_admins(session: Session) -> int:
    """How many can manage users."""
    query = select(func.count()).where(Account.role == Role.ADMIN.value, col(Account.disabled_at).is_(None))
    return session.exec(query).one()


def begin_sign_in(session: Session, account: Account, token_sha256: str, *, now: datetime) -> None:
    """Write down that somebody is signed in."""
    session.add(SignIn(token_sha256=token_sha256, account_id=id_of(account), began_at=now, seen_at=now))
    session.flush()


def signed_in(
    session: Session, token_sha256: str, *, seen_since: datetime, began_since: datetime
) -> tuple[Account, SignIn] | None:
    """Who is signed in there, unless it was left alone or lasted too long, or they were disabled."""
    query = (
        select(Account, SignIn)
        .join(SignIn)
        .where(SignIn.token_sha256 == token_sha256, SignIn.seen_at > seen_since, SignIn.began_at > began_since)
        .where(col(Account.disabled_at).is_(None))
    )
    return session.exec(query).first()


def note_seen(session: Session, token_sha256: str, *, now: datetime) -> None:
    """Write down that a sign-in is in use."""
    session.execute(update(SignIn).where(col(SignIn.token_sha256) == token_sha256).values(seen_at=now))


def end_sign_in(session: Session, token_sha256: str) -> None:
    """Sign out, there."""
    session.execute(delete(SignIn).where(col(SignIn.token_sha256) == token_sha256))


def end_sign_ins(session: Session, account: Account) -> None:
    """Sign somebody out everywhere, and let no code of theirs hold."""
    session.execute(delete(SignIn).where(col(SignIn.account_id) == account.id))
    session.execute(
        delete(ApprovalCode).where(col(ApprovalCode.account_id) == account.id, col(ApprovalCode.used_at).is_(None))
    )


def tidy(session: Session, *, sign_ins_before: datetime, tries_before: datetime) -> None:
    """Forget what has no meaning any more."""
    session.execute(delete(SignIn).where(col(SignIn.began_at) <= sign_ins_before))
    session.execute(delete(Tries).where(col(Tries.since) <= tries_before))


def purge(session: Session, *, before: datetime) -> int:
    """Forget sign-ins that began, tries that were made and codes that expired before that moment; gives how many."""
    return sum(
        changed_rows(session, delete(table).where(moment < before))
        for table, moment in (
            (SignIn, col(SignIn.began_at)),
            (Tries, col(Tries.since)),
            (ApprovalCode, col(ApprovalCode.expires_at)),
        )
    )


def add_key(session: Session, name: str, account: Account, key_sha256: str, *, now: datetime) -> None:
    """Write a program's key.

    Raises:
        NotAllowed: the name is taken, also by a key that was revoked: the history names it.
    """
    if session.exec(select(ApiKey).where(ApiKey.name == name)).first() is not None:
        raise NotAllowed(
            f"There is a key {name} already. Choose another name; see which there are: bulk-sender key list"
        )
    session.add(ApiKey(name=name, account_id=id_of(account), key_sha256=key_sha256, created_at=now))
    session.flush()


def key_holder(session: Session, key_sha256: str) -> tuple[Account, ApiKey] | None:
    """Whose key it is, unless it was revoked or they were disabled."""
    query = (
        select(Account, ApiKey)
        .join(ApiKey)
        .where(ApiKey.key_sha256 == key_sha256, col(ApiKey.revoked_at).is_(None), col(Account.disabled_at).is_(None))
    )
    return session.exec(query).first()


def note_key_used(session: Session, key_sha256: str, *, now: datetime) -> None:
    """Write down that a key is in use."""
    session.execute(update(ApiKey).where(col(ApiKey.key_sha256) == key_sha256).values(used_at=now))


def keys(session: Session) -> list[tuple[ApiKey, Account]]:
    """All keys with whom they act for, by name."""
    return list(session.exec(select(ApiKey, Account).join(Account).order_by(col(ApiKey.name))).all())


def revoke_key(session: Session, name: str, *, now: datetime) -> None:
    """Let a key hold no longer; again changes nothing.

    Raises:
        NotFound: there is no such key.
    """
    key = session.exec(select(ApiKey).where(ApiKey.name == name)).first()
    if key is None:
        raise NotFound(f"There is no key {name}. See which there are: bulk-sender key list")
    if key.revoked_at is None:
        key.revoked_at = now
        session.add(key)
        session.flush()


@dataclass(frozen=True, slots=True)
class Stretch:
    """How often something may be tried in how long a time."""

    most: int
    lasts: timedelta


def count_try(session: Session, what: str, stretch: Stretch, *, now: datetime) -> datetime | None:
    """Count one try, before it is known whether it succeeds, so that many at once count too.

    Args:
        session: a writing transaction.
        what: a keyed hash of what is tried.
        stretch: how many are let through.
        now: the time.

    Returns:
        When it may be tried again if this is one too many, else None.
    """
    number, since = session.execute(_TRY, {"what": what, "now": now, "long_ago": now - stretch.lasts}).one()
    return since + stretch.lasts if number > stretch.most else None


def tries_since(session: Session, what: str, *, since: datetime) -> int:
    """How often something was tried in the stretch that began after `since`; counts nothing."""
    number = session.exec(select(Tries.number).where(Tries.what == what, Tries.since > since)).first()
    return number or 0


def uncount_try(session: Session, what: str) -> None:
    """Take one try back, because it succeeded."""
    session.execute(update(Tries).where(col(Tries.what) == what).values(number=Tries.number - 1))


def forget_tries(session: Session, what: str) -> None:
    """Begin to count anew."""
    session.execute(delete(Tries).where(col(Tries.what) == what))


def add_code(
    session: Session,
    code_hash: str,
    *,
    account: Account | None,
    batch_id: int | None,
    revision: int,
    expires_at: datetime,
) -> None:
    """Keep an approval code; or, without an account, one that nobody was given, so that the same one counts once."""
    session.add(
        ApprovalCode(
            code_hash=code_hash,
            account_id=None if account is None else id_of(account),
            batch_id=batch_id,
            revision=revision,
            expires_at=expires_at,
        )
    )
    session.flush()


def code(session: Session, code_hash: str) -> ApprovalCode | None:
    """An approval code, used, expired or wrong as it may be."""
    return session.get(ApprovalCode, code_hash)


def use_code(session: Session, code_hash: str, *, now: datetime) -> Account | None:
    """Use an approval code up.

    Returns:
        Whose it is; None if it was used before, is expired, or was never given to anybody.
    """
    used = changed_rows(
        session,
        update(ApprovalCode)
        .where(col(ApprovalCode.code_hash) == code_hash, col(ApprovalCode.account_id).is_not(None))
        .where(col(ApprovalCode.used_at).is_(None), col(ApprovalCode.expires_at) > now)
        .values(used_at=now),
    )
    if used != 1:
        return None
    query = select(Account).join(ApprovalCode).where(ApprovalCode.code_hash == code_hash)
    return session.exec(query).first()


def wrong_codes(session: Session, batch_id: int | None, *, now: datetime) -> list[datetime]:
    """Until when each wrong code that was lately given for a batch counts, soonest first."""
    query = (
        select(ApprovalCode.expires_at)
        .where(ApprovalCode.batch_id == batch_id, col(ApprovalCode.account_id).is_(None))
        .where(ApprovalCode.expires_at > now)
        .order_by(col(ApprovalCode.expires_at))
    )
    return list(session.exec(query).all())


def set_up_seed(session: Session, new_seed: str) -> str:
    """The seed of the set-up address: the one that is kept, else the new one."""
    session.execute(_FIRST_SEED, {"seed": new_seed})
    return session.exec(select(SetUp.seed)).one()


def present_seed(session: Session) -> str | None:
    """The seed of the set-up address, None where there is none (any more)."""
    return session.exec(select(SetUp.seed)).first()


def end_set_up(session: Session) -> bool:
    """Let the set-up address lead nowhere; True for the one caller that ended it."""
    return changed_rows(session, delete(SetUp)) == 1
