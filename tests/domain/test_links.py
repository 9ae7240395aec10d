"""Links: the same for the same person, and nothing for anybody who made one up."""

from __future__ import annotations

import string
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import NotFound
from domain.links import PATH, TOKEN_LENGTH, Links, Place, fingerprint

SECRET = b"a secret of this installation"
BASE = "https://go.acme.example"
LINKS = Links(SECRET, public_url=BASE)
ALPHABET = string.ascii_letters + string.digits + "-_"
NUMBERS = st.integers(0, 2**32 - 1)
PLACES = st.builds(Place, NUMBERS, NUMBERS)


@given(PLACES)
def test_a_token_leads_back_to_its_person(place: Place) -> None:
    assert LINKS.place(LINKS.token(place)) == place


@given(PLACES, st.integers(0, TOKEN_LENGTH - 1), st.sampled_from(ALPHABET))
def test_a_token_with_any_other_character_is_refused(place: Place, position: int, character: str) -> None:
    token = LINKS.token(place)
    changed = token[:position] + character + token[position + 1 :]
    if changed == token:
        return

    with pytest.raises(NotFound, match=r"^This link is not valid\.$"):
        LINKS.place(changed)


@given(st.text(max_size=60))
def test_whatever_somebody_types_is_refused_in_the_same_words(token: str) -> None:
    with pytest.raises(NotFound, match=r"^This link is not valid\.$"):
        LINKS.place(token)


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1],
        lambda token: token + "A",
        lambda token: token + "\n",
        lambda token: " " + token,
        lambda token: token + token,
        lambda token: token[1:] + token[0],
        lambda token: token.swapcase(),
        lambda _token: "",
        lambda _token: "A" * TOKEN_LENGTH,
        lambda _token: "\ud800" * TOKEN_LENGTH,
        lambda _token: "ä" * TOKEN_LENGTH,
    ],
)
def test_a_token_that_was_bent_is_refused(change: Callable[[str], str]) -> None:
    with pytest.raises(NotFound):
        LINKS.place(change(LINKS.token(Place(1, 2))))


@pytest.mark.parametrize(("written", "bent"), [("", "="), ("", "=="), ("-", "+"), ("_", "/")])
def test_a_token_in_another_spelling_is_refused(written: str, bent: str) -> None:
    token = next(token for row in range(999) if written in (token := LINKS.token(Place(1, row))))

    with pytest.raises(NotFound):
        LINKS.place(token.replace(written, bent) if written else token + bent)


@given(PLACES, PLACES)
def test_nobody_shares_a_link(one: Place, other: Place) -> None:
    assert (LINKS.token(one) == LINKS.token(other)) == (one == other)


def test_a_link_is_the_same_every_time_and_its_length_is_known() -> None:
    link = LINKS.link(Place(7, 9))

    assert link == Links(SECRET, public_url=BASE + "/").link(Place(7, 9))
    assert link == BASE + PATH + LINKS.token(Place(7, 9))
    assert len(link) == LINKS.length


@given(PLACES)
def test_a_token_is_safe_in_an_address_and_always_as_long(place: Place) -> None:
    token = LINKS.token(place)

    assert len(token) == TOKEN_LENGTH
    assert set(token) <= set(ALPHABET)


def test_a_token_shows_neither_batch_nor_row() -> None:
    """Neighbours share no beginning and no end that a reader could count from."""
    tokens = [LINKS.token(Place(1, row)) for row in range(2, 200)]

    assert len({token[:4] for token in tokens}) > 190
    assert len({token[-4:] for token in tokens}) > 190


def test_another_installation_cannot_read_a_token() -> None:
    with pytest.raises(NotFound):
        Links(b"another secret", public_url=BASE).place(LINKS.token(Place(1, 2)))


@pytest.mark.parametrize("place", [Place(2**32, 1), Place(1, 2**32), Place(-1, 1)])
def test_a_place_beyond_the_numbers_is_no_link(place: Place) -> None:
    with pytest.raises(Exception, match=r"format requires|range"):
        LINKS.token(place)


# What a batch remembers


def test_a_fingerprint_is_the_same_for_the_same_links() -> None:
    assert fingerprint(SECRET, public_url=BASE) == fingerprint(SECRET, public_url=BASE + "/")


@pytest.mark.parametrize(
    ("secret", "base"), [(SECRET + b"!", BASE), (b"", BASE), (SECRET, BASE + "/x"), (SECRET, "http://go.acme.example")]
)
def test_a_fingerprint_differs_where_links_would(secret: bytes, base: str) -> None:
    assert fingerprint(secret, public_url=base) != fingerprint(SECRET, public_url=BASE)


def test_a_fingerprint_looks_at_the_whole_of_a_long_secret() -> None:
    long = b"x" * 64

    assert Links(long + b"1", public_url=BASE).link(Place(1, 2)) != Links(long + b"2", public_url=BASE).link(
        Place(1, 2)
    )
    assert fingerprint(long + b"1", public_url=BASE) != fingerprint(long + b"2", public_url=BASE)


def test_a_fingerprint_shows_neither_secret_nor_address() -> None:
    found = fingerprint(SECRET, public_url=BASE)

    assert len(found) == 32
    assert SECRET.hex()[:8] not in found


NOON = datetime(2030, 1, 31, 12, 0, tzinfo=UTC)
NONCES = st.binary(min_size=8, max_size=8)
SEALED = [
    LINKS.token(Place(1, 2)),
    LINKS.reference(Place(1, 2)),
    LINKS.code(Place(1, 2), expires_at=NOON, nonce=b"12345678"),
    LINKS.pass_on(Place(1, 2), expires_at=NOON),
]


@given(PLACES, NONCES)
def test_a_code_leads_back_to_its_person_and_its_end(place: Place, nonce: bytes) -> None:
    assert LINKS.coded(LINKS.code(place, expires_at=NOON, nonce=nonce)) == (place, NOON)


def test_each_code_is_another_one() -> None:
    assert len({LINKS.code(Place(1, 2), expires_at=NOON, nonce=bytes([byte] * 8)) for byte in range(9)}) == 9


@given(PLACES)
def test_a_reference_leads_back_to_its_person_and_is_no_token(place: Place) -> None:
    assert LINKS.referred(LINKS.reference(place)) == place
    assert LINKS.reference(place) == LINKS.reference(place) != LINKS.token(place)


def test_a_pass_is_for_one_person_until_its_end() -> None:
    held = LINKS.pass_on(Place(1, 2), expires_at=NOON)

    assert LINKS.may_pass(Place(1, 2), held, now=NOON - timedelta(seconds=1))
    assert not LINKS.may_pass(Place(1, 2), held, now=NOON)
    assert not LINKS.may_pass(Place(1, 3), held, now=NOON - timedelta(seconds=1))


@pytest.mark.parametrize("made_for", range(4))
def test_what_was_made_for_one_purpose_is_refused_for_every_other(made_for: int) -> None:
    sealed = SEALED[made_for]
    reads: list[Callable[[str], object]] = [LINKS.place, LINKS.referred, LINKS.coded]
    for purpose, read in enumerate(reads):
        if purpose == made_for:
            read(sealed)
            continue
        with pytest.raises(NotFound):
            read(sealed)
    assert LINKS.may_pass(Place(1, 2), sealed, now=NOON - timedelta(seconds=1)) is (made_for == 3)


@given(st.sampled_from(SEALED), st.integers(0, 47), st.sampled_from([*ALPHABET, "=", "+", "é", "\n"]))
def test_a_sealed_text_with_any_other_character_is_refused(sealed: str, position: int, character: str) -> None:
    changed = sealed[:position] + character + sealed[position + 1 :]
    if changed == sealed:
        return

    for read in (LINKS.referred, LINKS.coded):
        with pytest.raises(NotFound):
            read(changed)
    assert not LINKS.may_pass(Place(1, 2), changed, now=NOON - timedelta(seconds=1))
