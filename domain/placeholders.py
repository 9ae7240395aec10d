"""What people write where they have no address: "n/a", "keine", "no email", a dash."""

from __future__ import annotations

import re

from domain.words import NO_ADDRESS

LONGEST = 40
"""Characters; what is longer was not written to fill a gap."""

NO_LETTER = re.compile(r"[\W_]+")
FILLING = re.compile(r"([^\W\d_])\1*|0+|([0-9])\2{3,}|0?123456(?:7(?:8(?:90?)?)?)?")
"""The same sign again and again, or the digits in their order."""
SHORTEST_MAILBOX = 4
"""Letters before an @ that are a word and not somebody's initials."""

NOBODY = (
    r"^(?i-u:(?:no[._-]?e?[._-]?mail(?:[._-]?address)?|without[._-]?e?mail|none|unknown|nobody|not[._-]?(?:provided|available|known|given)"
    r"|keine?[._-]?e?[._-]?mail|unbekannt|sans[._-]?e?mail|sin[._-]?(?:correo|email)|senza[._-]?e?mail|geen[._-]?e?mail|brak[._-]?e?maila?)@"
    r"|(?:test|e?mail|none|no|na|x+|abc|asdf)@(?:test|example|e?mail|none|no|na|x+|abc|asdf|domain)\.[a-z]+$)"
)
"""An address that is well formed, and plainly somebody's way to say that there is none; for Rust."""


def is_placeholder(text: str) -> bool:
    """The text, which is no address, stands for one that is not there; before an @, the mailbox says so."""
    if len(text) > LONGEST:
        return False
    mailbox, at, _domain = text.partition("@")
    word = NO_LETTER.sub("", mailbox.lower())
    if at:
        return not word or (word in NO_ADDRESS and len(word) >= SHORTEST_MAILBOX)
    return not word or word in NO_ADDRESS or FILLING.fullmatch(word) is not None
