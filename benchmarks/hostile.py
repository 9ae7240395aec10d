# ruff: noqa: PLR2004  the shares of this and that are what the file is about
"""Addresses at the edges of what the libraries take, by chance of a given seed: for the tests and for long campaigns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from random import Random

import phonenumbers
from email_validator import SPECIAL_USE_DOMAIN_NAMES
from email_validator.rfc_constants import CASE_INSENSITIVE_MAILBOX_NAMES

LONGEST_NATIONAL = 17
INTERNATIONAL_PREFIXES = ("00", "011", "810", "0011", "009", "119", "001", "010", "0014", "0015", "99")
NATIONAL_PREFIXES = (
    "0",
    "1",
    "8",
    "06",
    "80",
    "00",
    "90",
    "01",
    "015",
    "0181",
    "180020",
    "003768",
    "1001",
    "183",
    "1901",
)
SEPARATORS = (
    " ",
    "-",
    ".",
    "(",
    ")",
    "/",
    ") ",
    " (",
    " - ",
    "....",
    "\u00a0",
    "x",
    "~",
    ",",
    "\u200b",
    "  ",
    "#",
    "\u2010",
)
ENDS = (".0", ".00", " ext. 5", "x12", ";ext=3", "#", " ", ")", "\n", "E+11", "e5", "/x5", "abc", ",,4", "-123#", "*")
STARTS = (" ", "(", "tel:", "Tel: ", "++", "\uff0b", "+ ", "+(", "(+", "-", "=", "'", "a", "\u200e")
MAILBOXES = (
    "anna.smith", "a", "A.B", "x+tag", "o'neil", ".a", "a.", "a..b", "", '"a b"', '"a"', '"a.."', "a b", "\u00fc", "u\u0308", "a,b", "a;b",
    "!#$%&'*+-/=?^_`{|}~", "\u5f20", "a\u200bb", "\u200ba", "\u0301a", "a\u00a0b", "\u212aelvin", "\u017fales", "\u0130nfo", "INFO.x", "(c)a", "a\\b", "<a", "a<", "\x00",
)  # fmt: skip
PLAIN_MAILBOXES = (
    "anna",
    "Anna.Smith",
    "o'neil",
    "x+tag",
    "1",
    "info",
    "Info",
    "SALES",
    "a.b.c",
    "_-_",
    "www",
    "WebMaster",
)
PLAIN_DOMAINS = (
    "example.com",
    "Mail.Example.ORG",
    "a-b.co",
    "x.y.z",
    "1a.2b.de",
    "localhost.com",
    "test.de",
    "a.test",
    "a.Local",
    "a.b.ONION",
    "a.mytest",
)
LABELS = (
    "example", "Example", "EXAMPLE", "web", "co", "uk", "com", "de", "x", "1", "123", "a1", "1a", "a-b", "a--b", "ab--c", "xn--a", "xn--mnchen-3ya",
    "XN--MNCHEN-3YA", "-a", "a-", "", "a_b", "m\u00fcnchen", "M\u00dcNCHEN", "\u05d0\u05d1", "stra\u00dfe", "\uff41", "a\u3002b", "\u212a", "com.", "c0m", "c\u043em", "a\u200db",
    "a b", "invalid", "testing", "mytest", "local-host", "xn--", "xn--80ak6aa92e", "\U0001f600", "1.2.3.4", "[127.0.0.1]", "[IPv6:::1]",
)  # fmt: skip
GLUE = ("@", "@", "@", "@", "@", "@", "@", "@", "@@", "", " @", "@ ", "\uff20", "\ufe6b", "@\u0338", "<", "\n@")
EMAIL_ENDS = ("", "", "", "", "", "", "", " ", "\n", ".", ">", "\u0301", "\u200b", ",", "\t")


def emails(count: int, *, chance: Random) -> list[str]:
    """Addresses built from pieces; about one in four is valid."""
    return [_email(chance) for _ in range(count)]


def _email(chance: Random) -> str:
    plain = [chance.random() < 0.6 for _ in range(4)]
    mailbox = chance.choice(PLAIN_MAILBOXES) if plain[0] else _mailbox(chance)
    domain = chance.choice(PLAIN_DOMAINS) if plain[1] else _domain(chance)
    glue = "@" if plain[2] else chance.choice(GLUE)
    text = mailbox + glue + domain + ("" if plain[3] else chance.choice(EMAIL_ENDS))
    return "".join(chance.choice((c.upper(), c.lower())) for c in text) if chance.random() < 0.1 else text


def _mailbox(chance: Random) -> str:
    if chance.random() < 0.2:
        name = chance.choice(CASE_INSENSITIVE_MAILBOX_NAMES)
        return chance.choice((name, name.upper(), name.title(), name + "1", "x." + name))
    if chance.random() < 0.1:
        return "a" * chance.choice((1, 30, 58, 59, 63, 64, 65, 200, 250))
    return ".".join(chance.choices(MAILBOXES, k=chance.choice((1, 1, 1, 2))))


def _domain(chance: Random) -> str:
    labels = chance.choices(LABELS, k=chance.choice((1, 1, 1, 2, 2, 3)))
    if chance.random() < 0.1:
        labels.append("b" * chance.choice((30, 50, 61, 62, 63, 64, 100, 253)))
    tops = ("com", "com", "COM", "de", "co.uk", "Com", "c", "museum", "c0", "c-m", *SPECIAL_USE_DOMAIN_NAMES)
    top = chance.choice(tops)
    return ".".join([*labels, chance.choice((top, top, top.upper()))])


@cache
def examples(region: str) -> tuple[str, ...]:
    """National significant numbers of every type that a region has an example of."""
    numbers = (phonenumbers.example_number_for_type(region, kind) for kind in phonenumbers.PhoneNumberType.values())
    return tuple({phonenumbers.national_significant_number(number) for number in numbers if number is not None})


def phones(count: int, *, region: str, chance: Random) -> list[str]:
    """Numbers near the examples of a region: other digits, fewer, more, prefixes, separators, and rarely oddities."""
    return [_phone(region, chance) for _ in range(count)]


def _phone(region: str, chance: Random) -> str:
    code = str(phonenumbers.country_code_for_region(region))
    national = chance.choice(examples(region))
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3))):
        national = chance.choice(CHANGES)(national, chance)
    text = _prefix(region, code, chance) + national
    if chance.random() < 0.4:
        text = "".join(_separated(text, chance))
    if chance.random() < 0.03:
        text += chance.choice(ENDS)
    return chance.choice(STARTS) + text if chance.random() < 0.03 else text


def _prefix(region: str, code: str, chance: Random) -> str:
    trunk = phonenumbers.ndd_prefix_for_region(region, strip_non_digits=True) or ""
    odd_trunk = chance.choice((trunk, chance.choice(NATIONAL_PREFIXES), str(chance.randrange(1000))))
    abroad = chance.choice(INTERNATIONAL_PREFIXES)
    # The forms are weighted: a third as dialled at home, a third with a plus, the rest seldom seen.
    forms = (
        "", "", trunk, trunk, odd_trunk, "+" + code, "+" + code, "+" + code + trunk, "+" + code + odd_trunk, code, code + trunk, code + odd_trunk,
        abroad + code, abroad + code + trunk, abroad + "0" + code, trunk + code, odd_trunk + trunk, "+" + abroad + code, "+0", "+" + odd_trunk, code + code,
    )  # fmt: skip
    return chance.choice(forms)


def _separated(text: str, chance: Random) -> Iterator[str]:
    usual = chance.random() < 0.9
    for place, character in enumerate(text):
        if place and chance.random() < 0.25:
            yield chance.choice(SEPARATORS[:9] if usual else SEPARATORS)
        yield character


def _changed(number: str, chance: Random) -> str:
    place = chance.randrange(len(number))
    return number[:place] + str(chance.randrange(10)) + number[place + 1 :]


def _changed_front(number: str, chance: Random) -> str:
    size = chance.choice((1, 2, 3, 4))
    return f"{chance.randrange(10**size):0{size}d}" + number[size:]


def _dropped(number: str, chance: Random) -> str:
    place = chance.randrange(len(number))
    return number[:place] + number[place + 1 :] or "0"


def _added(number: str, chance: Random) -> str:
    place = chance.randrange(len(number) + 1)
    return number[:place] + str(chance.randrange(10)) + number[place:]


def _local(number: str, chance: Random) -> str:
    """The end of a number, as it is dialled in its own town."""
    return number[chance.choice((1, 2, 3, 4)) :] or "0"


def _random_tail(number: str, chance: Random) -> str:
    kept = chance.choice((0, 1, 2, 3, 4))
    size = max(1, chance.choice((len(number), len(number), chance.randrange(2, LONGEST_NATIONAL + 4))) - kept)
    return number[:kept] + f"{chance.randrange(10**size):0{size}d}"


CHANGES: tuple[Callable[[str, Random], str], ...] = (
    _changed, _changed, _changed_front, _changed_front, _dropped, _added, _random_tail, _random_tail, _local,
)  # fmt: skip
