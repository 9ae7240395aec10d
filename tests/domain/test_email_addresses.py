"""No verdict and no spelling differs from email-validator's."""

from __future__ import annotations

from random import Random

import polars as pl
import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.hostile import emails
from domain import email_addresses
from domain.email_addresses import normalised_email, normalised_emails

EMAILS = [
    "a@b.com",
    "A.b+c@Sub.Example.COM",
    "postmaster@x.org",
    "PostMaster@x.org",
    "Postmaster1@x.org",
    "ü@exämple.de",
    '"quoted x"@x.org',
    "a@b",
    "a@@b.com",
    "a..b@c.com",
    "a@localhost",
    "a@b.test",
    "A@b.Test",
    "a@test.com",
    "a@mytest",
    "a@-b.com",
    "a@b--c.com",
    "a@ab--c.com",
    "a@xn--mnchen-3ya.de",
    "a@b.c0",
    "a@b.0c",
    "a" * 65 + "@b.com",
    "a@" + "b" * 63 + ".com",
    "a@" + "b" * 64 + ".com",
    "a" * 250 + "@b.com",
    "a@[127.0.0.1]",
    "name <a@b.com>",
    "a@b.com\n",
    "a@x.\u212aom",
    "\u212a@x.com",
    "mailto:a@b.com",
    "a@b.com;c@d.com",
    "a@b.com, c@d.com",
    "a@b.com c@d.com",
    "(comment)a@b.com",
    "a@b.com.",
    "\uff41@\uff42.com",
    "a\uff20b.com",
    "a@b.com\u200b",
    "\u200ea@b.com",
    "a\u202e@b.com",
    "a@b\u00ad.com",
    "a@\u05d0\u05d1.com",
    "e\u0301@e\u0301xample.com",
    "a@fa\u00df.de",
    "a@\u03a3\u0391\u03a3.gr",
    '"a\\"b"@x.org',
    "noemail@noemail.com",
    "nobody",
    "nobody.com",
    "a@b。com",
    "a@b@com",
    '"a@b.c"@com',
    "<a@b.com",
    "a@",
    "@",
    "",
]


def by_email_validator(text: str) -> str | None:
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError:
        return None


def test_addresses_mixed_and_repeated_get_the_verdict_of_email_validator() -> None:
    cells = pl.Series("email", [*EMAILS, None, *reversed(EMAILS)])

    found = normalised_emails(cells)

    assert found.to_list() == [None if text is None else by_email_validator(text) for text in cells]


@settings(max_examples=40)
@given(st.lists(st.sampled_from(EMAILS) | st.emails() | st.text(max_size=20)))
def test_generated_addresses_get_the_verdict_of_email_validator(texts: list[str]) -> None:
    found = normalised_emails(pl.Series(texts, dtype=pl.String))

    assert found.to_list() == [by_email_validator(text) for text in texts]


@settings(max_examples=10)
@given(st.randoms(use_true_random=True))
def test_hostile_addresses_get_the_verdict_of_email_validator(chance: Random) -> None:
    texts = emails(200, chance=chance)

    found = normalised_emails(pl.Series(texts))

    assert {
        text: spelled for text, spelled in zip(texts, found, strict=True) if spelled != by_email_validator(text)
    } == {}


def test_plain_and_hopeless_addresses_do_not_wait_for_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes 30 µs an address: half a minute for a million."""
    asked: list[str] = []
    monkeypatch.setattr(email_addresses, "normalised_email", asked.append)

    normalised_emails(
        pl.Series(["a.b@c.com", "A.B@C.com", "info@x.org", "INFO@x.org", "a", "a@b", "a@münchen.de", "a@münchen.de"])
    )

    assert asked == ["a@münchen.de"]


@pytest.mark.parametrize("cells", [[], [None, None], ["a@b.com", None]])
def test_as_many_answers_as_cells(cells: list[str | None]) -> None:
    given_cells = pl.Series(cells, dtype=pl.String)

    assert normalised_emails(given_cells).to_list() == cells


def test_one_address_is_judged_alike() -> None:
    assert [normalised_email(text) for text in EMAILS] == [by_email_validator(text) for text in EMAILS]
