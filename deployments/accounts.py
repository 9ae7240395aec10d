"""What people do with their accounts, the same from every place: sign in and out, passwords, keys, codes, the first user."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from domain import passwords
from domain.errors import Forbidden, NotAllowed, TooManyTries
from domain.proofs import code_hash, digest, is_same, keyed, new_code, new_key, new_token
from domain.rights import Right, Role, known_as, may, without_right
from domain.states import Phase
from models import accounts, batches
from models.accounts import Stretch
from models.tables import Account
from tasks.surroundings import Surroundings, now

IDLE = timedelta(hours=2)
"""Left alone for so long, a sign-in ends."""
LASTS = timedelta(hours=12)
"""So does it after this, however it is used: a long day of work."""
CODE_HOLDS = timedelta(minutes=15)
_NOTED_EVERY = timedelta(minutes=5)
_BY_ACCOUNT = Stretch(most=10, lasts=timedelta(minutes=15))
_BY_ADDRESS = Stretch(most=100, lasts=timedelta(minutes=15))
"""A whole office may come from one address."""
_SET_UP = "/set-up/"
_LONGEST_EMAIL = 254
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody who showed who they are."""

    email: str
    role: Role
    key: str | None = None
    """The name of the API key that acts for them; None for themselves."""


@dataclass(frozen=True, slots=True)
class Code:
    """An approval code, shown once."""

    text: str
    expires_at: datetime


# Users


def any_user(around: Surroundings) -> bool:
    """Whether anybody could sign in; before that, people are known by the email that they give."""
    with around.database.read() as session:
        return accounts.exist(session)


def add_user(around: Surroundings, email: str, role: Role, *, password: str | None) -> None:
    """Make a user; without a password they sign in through OpenID Connect only.

    Raises:
        NotAllowed: the email is none or is taken, or the password may not be chosen.
    """
    kept = _kept(_email(email), password)
    with around.database.write() as session:
        accounts.add(session, email, role, password_hash=kept, now=now())
        accounts.end_set_up(session)


def change_password(around: Surroundings, email: str, password: str) -> None:
    """Give somebody another password; they are signed out everywhere."""
    with around.database.read() as session:
        accounts.by_email(session, email)
    kept = _kept(email, password)
    with around.database.write() as session:
        account = accounts.by_email(session, email)
        account.password_hash = kept
        session.add(account)
        accounts.end_sign_ins(session, account)
        accounts.forget_tries(session, _account_try(around, email))


def change_own_password(around: Surroundings, email: str, present: str, password: str, *, address: str) -> str:
    """Change one's password after showing the present one; every other sign-in ends.

    Returns:
        The token of a new sign-in.

    Raises:
        Forbidden: the present one is wrong, or was tried too often.
        NotAllowed: the new one may not be chosen.
    """
    passwords.require_usable(password, email=email)
    sign_out(around, sign_in(around, email, present, address=address))
    change_password(around, email, password)
    return sign_in_as(around, email)


def sign_out_everywhere(around: Surroundings, email: str) -> None:
    """End every sign-in and every unused code of somebody."""
    with around.database.write() as session:
        accounts.end_sign_ins(session, accounts.by_email(session, email))


def change_role(around: Surroundings, email: str, role: Role) -> None:
    """Give somebody another role; it holds at once, wherever they are signed in.

    Raises:
        NotAllowed: nobody would be left to manage users.
    """
    with around.database.write() as session:
        account = accounts.by_email(session, email)
        was, account.role = account.role, role.value
        session.add(account)
        session.flush()
        _require_admin_left(session, account, was=was)


def disable_user(around: Surroundings, email: str) -> None:
    """Let somebody not sign in any more; their sign-ins, keys and codes end at once.

    Raises:
        NotAllowed: nobody would be left to manage users.
    """
    with around.database.write() as session:
        account = accounts.by_email(session, email)
        if account.disabled_at is None:
            account.disabled_at = now()
            session.add(account)
            session.flush()
        accounts.end_sign_ins(session, account)
        _require_admin_left(session, account, was=account.role)


def enable_user(around: Surroundings, email: str) -> None:
    """Let somebody sign in again."""
    with around.database.write() as session:
        account = accounts.by_email(session, email)
        account.disabled_at = None
        session.add(account)


def _require_admin_left(session: Session, account: Account, *, was: str) -> None:
    if was == Role.ADMIN and accounts.active_admins(session) == 0:
        raise NotAllowed(
            f"{account.email} is the last active admin, and somebody must manage the users. Make another first: "
            "bulk-sender user add EMAIL --role admin"
        )


def _email(text: str) -> str:
    name, at, domain = text.strip().partition("@")
    if not (name and at and domain) or any(sign.isspace() or not sign.isprintable() for sign in text.strip()):
        raise NotAllowed(f"The user {text!r} is not an email address. Give one such as name@company.example.")
    if len(text) > _LONGEST_EMAIL:
        raise NotAllowed(f"The email has more than {_LONGEST_EMAIL} characters. Give a shorter one.")
    return text


def _kept(email: str, password: str | None) -> str | None:
    if password is None:
        return None
    passwords.require_usable(password, email=email)
    return passwords.hashed(password)


# The first user


def set_up_address(around: Surroundings) -> str | None:
    """Where the first user can be made in a browser; None once there is one."""
    with around.database.write() as session:
        if accounts.exist(session):
            return None
        seed = accounts.set_up_seed(session, new_token())
    return around.settings.links_base + _SET_UP + _set_up_code(around, seed)


def is_set_up_code(around: Surroundings, code: str) -> bool:
    """Whether the first user may be made with this code."""
    with around.database.read() as session:
        seed = None if accounts.exist(session) else accounts.present_seed(session)
    return seed is not None and is_same(code, _set_up_code(around, seed))


def make_first_user(around: Surroundings, code: str, *, email: str, password: str) -> str:
    """Make the first admin; gives the token of their sign-in.

    Raises:
        Forbidden: the code is wrong, or there is a user by now.
        NotAllowed: the email or the password cannot be used.
    """
    kept = _kept(_email(email), password)
    with around.database.write() as session:
        seed = accounts.present_seed(session)
        is_right = seed is not None and is_same(code, _set_up_code(around, seed))
        if not is_right or not accounts.end_set_up(session) or accounts.exist(session):
            raise Forbidden("This set-up address does not hold any more. Sign in, or ask an administrator for a user.")
        account = accounts.add(session, email, Role.ADMIN, password_hash=kept, now=now())
        token = new_token()
        accounts.begin_sign_in(session, account, digest(token), now=now())
    return token


def _set_up_code(around: Surroundings, seed: str) -> str:
    return keyed(around.settings.secret, "set-up", seed)[:32]


# Signing in


def sign_in(around: Surroundings, email: str, password: str, *, address: str) -> str:
    """Sign somebody in by password.

    Args:
        around: settings and database.
        email: who they say they are.
        password: what they show for it.
        address: the network address that they come from.

    Returns:
        The token for their browser, of which only a hash is kept.

    Raises:
        TooManyTries: that account or address tried too often; even the right password is not looked at.
        Forbidden: the two do not belong together, or nobody signs in by password here.
    """
    if not around.settings.password_sign_in:
        raise Forbidden(f"Passwords are switched off here. Use {around.settings.oidc_name}.")
    by_account, by_address = _account_try(around, email), _address_try(around, address)
    with around.database.write() as session:
        until = [
            accounts.count_try(session, by_address, _BY_ADDRESS, now=now()),
            accounts.count_try(session, by_account, _BY_ACCOUNT, now=now()),
        ]
    if blocked := [moment for moment in until if moment is not None]:
        raise TooManyTries(
            f"There were too many tries to sign in. Try again in {_minutes(max(blocked))}.", until=max(blocked)
        )
    with around.database.read() as session:
        account = accounts.find(session, email)
        kept = account.password_hash if account else None
    if not passwords.is_right(kept, password):
        raise Forbidden("That email and password do not belong together. Check both and try again.")
    newer = passwords.hashed(password) if kept and passwords.is_outdated(kept) else kept
    with around.database.write() as session:
        account = accounts.by_email(session, email)
        if account.disabled_at is not None or account.password_hash != kept:
            raise Forbidden("That email and password do not belong together. Check both and try again.")
        account.password_hash = newer
        session.add(account)
        accounts.forget_tries(session, by_account)
        accounts.uncount_try(session, by_address)
        accounts.tidy(session, sign_ins_before=now() - LASTS, tries_before=now() - _BY_ADDRESS.lasts)
        token = new_token()
        accounts.begin_sign_in(session, account, digest(token), now=now())
    return token


def sign_in_as(around: Surroundings, email: str) -> str:
    """Sign in somebody whom the OpenID Connect provider vouches for; gives the token for their browser.

    Raises:
        Forbidden: no active user has that email.
    """
    with around.database.write() as session:
        account = accounts.find(session, email)
        if account is None or account.disabled_at is not None:
            raise Forbidden(f"{known_as(email)} is not a user here. Ask an administrator: bulk-sender user add")
        accounts.tidy(session, sign_ins_before=now() - LASTS, tries_before=now() - _BY_ADDRESS.lasts)
        token = new_token()
        accounts.begin_sign_in(session, account, digest(token), now=now())
    return token


def signed_in(around: Surroundings, token: str) -> Known | None:
    """Who holds this token; None for a wrong, ended or expired one."""
    moment = now()
    with around.database.read() as session:
        found = accounts.signed_in(session, digest(token), seen_since=moment - IDLE, began_since=moment - LASTS)
        if found is None:
            return None
        account, place = found
        known, is_old = Known(account.email, Role(account.role)), moment - place.seen_at > _NOTED_EVERY
    if is_old:
        with around.database.write() as session:
            accounts.note_seen(session, digest(token), now=moment)
    return known


def sign_out(around: Surroundings, token: str) -> None:
    """End one sign-in; again changes nothing."""
    with around.database.write() as session:
        accounts.end_sign_in(session, digest(token))


def _account_try(around: Surroundings, email: str) -> str:
    return keyed(around.settings.secret, "tries-of-account", known_as(email))


def _address_try(around: Surroundings, address: str) -> str:
    """One home or office has 2^64 addresses of IPv6."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return keyed(around.settings.secret, "tries-from", address)
    whole = found if found.version == 4 else ipaddress.ip_network((found, 64), strict=False)  # noqa: PLR2004  IPv4
    return keyed(around.settings.secret, "tries-from", whole)


def _minutes(until: datetime) -> str:
    number = max(1, math.ceil((until - now()) / timedelta(minutes=1)))
    return f"{number} minute{'s' if number != 1 else ''}"


# Programs


def add_key(around: Surroundings, name: str, *, email: str) -> str:
    """Make a key with which a program acts as a user; gives the key, which is kept nowhere.

    Raises:
        NotAllowed: the name is empty, long or taken, or the user is disabled.
        NotFound: there is no such user.
    """
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise NotAllowed(f"The name of a key has 1 to {_LONGEST_NAME} characters. Give one such as nightly-import.")
    key = new_key()
    with around.database.write() as session:
        account = _active(accounts.by_email(session, email))
        accounts.add_key(session, name.strip(), account, digest(key), now=now())
    return key


def revoke_key(around: Surroundings, name: str) -> None:
    """Let a key hold no longer; again changes nothing."""
    with around.database.write() as session:
        accounts.revoke_key(session, name.strip(), now=now())


def key_holder(around: Surroundings, key: str) -> Known | None:
    """For whom a key acts; None for a wrong or revoked one."""
    moment = now()
    with around.database.read() as session:
        found = accounts.key_holder(session, digest(key))
        if found is None:
            return None
        account, kept = found
        known = Known(account.email, Role(account.role), kept.name)
        is_old = kept.used_at is None or moment - kept.used_at > _NOTED_EVERY
    if is_old:
        with around.database.write() as session:
            accounts.note_key_used(session, digest(key), now=moment)
    return known


def _active(account: Account) -> Account:
    if account.disabled_at is not None:
        raise NotAllowed(
            f"The user {account.email} is disabled. Let them in again first: bulk-sender user enable {account.email}"
        )
    return account


# Other roads


def require_right(around: Surroundings, email: str, right: Right) -> None:
    """Make sure that somebody whom a shell speaks for may do something; before there is any user, everybody may.

    Raises:
        Forbidden: they are no active user, or have not the right.
    """
    with around.database.read() as session:
        if not accounts.exist(session):
            return
        account = accounts.find(session, email)
        if account is None or account.disabled_at is not None:
            raise Forbidden(
                f"{email} is no active user. See which there are: bulk-sender user list; make one: bulk-sender user add EMAIL --role ROLE"
            )
        role = Role(account.role)
    if not may(role, right):
        raise Forbidden(without_right(email, role, right))


def make_code(around: Surroundings, batch_id: int, *, email: str) -> Code:
    """A code by which the Prefect UI knows that this user decides about, or holds in hand, this batch as it is now.

    Raises:
        NotAllowed: the batch is still being checked.
        Forbidden: they may not decide.
    """
    require_right(around, email, Right.DECIDE)
    text, expires_at = new_code(), now() + CODE_HOLDS
    with around.database.write() as session:
        batch = batches.by_id(session, batch_id)
        if batch.phase == Phase.CHECKING:
            raise NotAllowed(f"Batch {batch_id} is still being checked, so there is nothing to decide yet.")
        account = accounts.by_email(session, email)
        kept = code_hash(around.settings.secret, text, batch_id=batch_id, revision=batch.revision)
        accounts.add_code(
            session, kept, account=account, batch_id=batch_id, revision=batch.revision, expires_at=expires_at
        )
    return Code(text, expires_at)


def make_creation_code(around: Surroundings, *, email: str) -> Code:
    """A code by which the Prefect UI knows that this user creates a batch there.

    Raises:
        Forbidden: they may not create batches.
    """
    require_right(around, email, Right.CREATE)
    text, expires_at = new_code(), now() + CODE_HOLDS
    kept = code_hash(around.settings.secret, text, batch_id=None, revision=0)
    with around.database.write() as session:
        account = accounts.by_email(session, email)
        accounts.add_code(session, kept, account=account, batch_id=None, revision=0, expires_at=expires_at)
    return Code(text, expires_at)


def run_address(around: Surroundings, batch_id: int) -> str | None:
    """Where the run of a batch stands in the Prefect UI."""
    with around.database.read() as session:
        run_id = batches.by_id(session, batch_id).flow_run_id
    return None if run_id is None else f"{around.settings.prefect_url.removesuffix('/api')}/runs/flow-run/{run_id}"
