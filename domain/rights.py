"""Who may do what: five roles, and one table of what each is allowed."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

_NOT_SHOWN = frozenset({"Cc", "Cf"})
_CHINESE_DOT = "\u3002"


class Role(StrEnum):
    """What a user is there for; each user has one."""

    OPERATOR = "operator"
    """Prepares batches."""
    APPROVER = "approver"
    """Decides about batches, and holds the send in hand."""
    ANALYST = "analyst"
    """Looks at what became of them."""
    PLATFORM = "platform"
    """No person but a process's own form platform, which takes people over from their links."""
    ADMIN = "admin"
    """All of that, and the users; the rule that nobody approves their own batch holds here too."""


class Right(StrEnum):
    """One thing that a user may do or not."""

    READ = "read"
    """Batches, their recipients, messages, charts and history; finding a person."""
    DOWNLOAD = "download"
    """Result files, rows that cannot be sent, the uploaded file."""
    CREATE = "create"
    """Checking a file, creating a batch, correcting its rows, a test send to oneself."""
    ARCHIVE = "archive"
    """Hiding a batch from the list; one that waits for a decision is thereby withdrawn."""
    DECIDE = "decide"
    """Also counting unresolved messages as sent, or sending them again."""
    PAUSE = "pause"
    """Halting the send, and letting it go on."""
    REVOKE = "revoke"
    """One link, or all of a batch."""
    SUPPRESS = "suppress"
    """Entering an address and taking one off."""
    TAKE_OVER = "take_over"
    """For a process's own platform: the values behind a link that it was handed, and telling how far its person came."""
    MANAGE_USERS = "manage_users"
    """Users, their roles and their API keys."""


WORDS: Mapping[Right, str] = MappingProxyType(
    {
        Right.READ: "see batches",
        Right.DOWNLOAD: "download files",
        Right.CREATE: "create or correct batches",
        Right.ARCHIVE: "archive batches",
        Right.DECIDE: "approve or reject batches",
        Right.PAUSE: "pause or resume batches",
        Right.REVOKE: "revoke links",
        Right.SUPPRESS: "change the list of suppressed addresses",
        Right.TAKE_OVER: "take people over from their links",
        Right.MANAGE_USERS: "manage users",
    }
)

_PREPARES = frozenset({Right.READ, Right.DOWNLOAD, Right.CREATE, Right.ARCHIVE, Right.REVOKE, Right.SUPPRESS})
_DECIDES = frozenset(
    {Right.READ, Right.DOWNLOAD, Right.DECIDE, Right.PAUSE, Right.ARCHIVE, Right.REVOKE, Right.SUPPRESS}
)

RIGHTS: Mapping[Role, frozenset[Right]] = MappingProxyType(
    {
        Role.OPERATOR: _PREPARES,
        Role.APPROVER: _DECIDES,
        Role.ANALYST: frozenset({Right.READ, Right.DOWNLOAD}),
        Role.PLATFORM: frozenset({Right.TAKE_OVER}),
        Role.ADMIN: frozenset(Right),
    }
)


def may(role: Role, right: Right | str) -> bool:
    """Whether a role includes a right, which a template may name by its word.

    Raises:
        ValueError: there is no such right.
    """
    return Right(right) in RIGHTS[role]


def roles_with(right: Right) -> list[Role]:
    """The roles that include a right, in the order of the table."""
    return [role for role in RIGHTS if may(role, right)]


def without_right(email: str, role: Role, right: Right) -> str:
    """Why somebody cannot do something, and who can."""
    return f"{email} is {_named(role)} and may not {WORDS[right]}. It needs {_either(roles_with(right))}."


def _named(role: Role) -> str:
    return f"an {role}" if role[0] in "aeio" else f"a {role}"


def _either(roles: list[Role]) -> str:
    return " or ".join(_named(role) for role in roles)


def same_person(one: str, other: str) -> bool:
    """Whether two emails are one person's, however they are spelled."""
    return known_as(one) == known_as(other)


def known_as(email: str) -> str:
    """An email as people are told apart by it: by what a reader sees, and by what a mail server makes of it.

    `ann+list@` is another person than `ann@`: a company may give both out.
    """
    shown = "".join(
        sign for sign in unicodedata.normalize("NFKC", email) if unicodedata.category(sign) not in _NOT_SHOWN
    )
    return unicodedata.normalize("NFKC", shown.casefold()).replace(_CHINESE_DOT, ".").strip().rstrip(".")
