"""Receipts: whatever order they come in and however often, they amount to the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.deliveries import (
    EMAIL_REASONS,
    SMS_REASONS,
    STATUSES,
    SUBJECTS,
    Delivery,
    Fate,
    Kind,
    Lasting,
    Saying,
    fold,
    reason,
)

FIRST = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CODES = [None, "5.1.1", "4.2.2", "9.9.9", "odd", *EMAIL_REASONS, *SMS_REASONS]
ORDER = list(Delivery)


def said(kind: Kind, code: str | None = None, *, minutes: int = 0, provider_id: str = "a", event: str = "") -> Saying:
    return Saying(event or f"{kind}{minutes}", kind, provider_id, code, FIRST + timedelta(minutes=minutes))


SAYINGS = st.builds(
    Saying,
    st.text("abc", min_size=1, max_size=2),
    st.sampled_from(Kind),
    st.sampled_from(["", "a", "b"]),
    st.sampled_from(CODES),
    st.integers(0, 3).map(lambda minutes: FIRST + timedelta(minutes=minutes)),
)
LISTS = st.lists(SAYINGS, max_size=7)


@given(LISTS, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(sayings: list[Saying], chance: object) -> None:
    shuffled = list(sayings)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random

    assert fold(shuffled) == fold(sayings)


@given(LISTS, st.data())
def test_a_repetition_changes_nothing(sayings: list[Saying], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(sayings), max_size=5)) if sayings else []

    assert fold(sayings + again) == fold(sayings)


@given(LISTS, st.integers(0, 7))
def test_what_comes_later_never_takes_a_message_back(sayings: list[Saying], known: int) -> None:
    before, after = fold(sayings[:known]), fold(sayings)

    if before.delivery is not None:
        assert after.delivery is not None
        assert ORDER.index(after.delivery) >= ORDER.index(before.delivery)
    assert after.duplicate >= before.duplicate


@given(LISTS.filter(bool))
def test_every_state_that_went_wrong_says_why_in_a_sentence(sayings: list[Saying]) -> None:
    fate = fold(sayings)

    assert fate.at is not None
    if fate.delivery not in {Delivery.ACCEPTED, Delivery.DELIVERED}:
        assert fate.detail is not None
    if fate.detail is not None:
        assert fate.detail.endswith(".")
        assert fate.detail[0].isupper()


def test_nothing_said_is_nothing_known() -> None:
    assert fold([]) == Fate()


@pytest.mark.parametrize(
    ("kinds", "delivery"),
    [
        ([Kind.ACCEPTED], Delivery.ACCEPTED),
        ([Kind.ACCEPTED, Kind.DEFERRED], Delivery.DEFERRED),
        ([Kind.DEFERRED, Kind.DELIVERED, Kind.DEFERRED], Delivery.DELIVERED),
        ([Kind.DELIVERED, Kind.BOUNCED], Delivery.BOUNCED),
        ([Kind.DELIVERED, Kind.BLOCKED], Delivery.BOUNCED),
        ([Kind.DELIVERED, Kind.ACCEPTED], Delivery.DELIVERED),
        ([Kind.UNDELIVERED, Kind.ACCEPTED], Delivery.UNDELIVERED),
        ([Kind.FAILED, Kind.ACCEPTED], Delivery.FAILED),
        ([Kind.UNDELIVERED, Kind.DELIVERED], Delivery.DELIVERED),
        ([Kind.ACCEPTED, Kind.DROPPED], Delivery.DROPPED),
        ([Kind.REPORTED], Delivery.DELIVERED),
        ([Kind.OPTED_OUT], Delivery.DELIVERED),
    ],
)
def test_what_has_come_furthest_speaks(kinds: list[Kind], delivery: Delivery) -> None:
    assert fold([said(kind, minutes=place) for place, kind in enumerate(kinds)]).delivery is delivery


@pytest.mark.parametrize(
    ("kind", "code"), [(Kind.DROPPED, "unsubscribed"), (Kind.FAILED, "21610"), (Kind.UNDELIVERED, "21610")]
)
def test_what_was_not_tried_for_an_opt_out_says_so(kind: Kind, code: str) -> None:
    fate = fold([said(Kind.ACCEPTED), said(kind, code, minutes=1)])

    assert fate.delivery is Delivery.OPTED_OUT
    assert "opted out" in (fate.detail or "")


def test_a_permanent_bounce_goes_before_a_temporary_one() -> None:
    fate = fold([said(Kind.BOUNCED, "5.1.1"), said(Kind.BLOCKED, "4.7.1", minutes=5)])

    assert fate.detail == "There is no such mailbox (5.1.1, permanent)."


def test_the_time_is_that_of_the_state() -> None:
    fate = fold([said(Kind.ACCEPTED), said(Kind.DELIVERED, minutes=2), said(Kind.ACCEPTED, minutes=9)])

    assert fate.at == FIRST + timedelta(minutes=2)


def test_what_the_person_did_with_it_is_told_beside_the_delivery() -> None:
    fate = fold([said(Kind.DELIVERED), said(Kind.REPORTED, minutes=1), said(Kind.OPTED_OUT, minutes=2)])

    assert (fate.delivery, fate.at) == (Delivery.DELIVERED, FIRST)
    assert fate.detail == "The person reported it as spam. The person opted out afterwards."


def test_two_ids_at_the_provider_are_a_duplicate_and_an_unknown_one_is_none() -> None:
    one, other, unknown = (said(Kind.ACCEPTED, provider_id=word, event=word or "x") for word in ("a", "b", ""))

    assert fold([one, other]).duplicate
    assert not fold([one, unknown]).duplicate


# Codes in words


PERMANENT, TEMPORARY, ACCOUNT = Lasting.PERMANENT, Lasting.TEMPORARY, Lasting.ACCOUNT


@pytest.mark.parametrize(
    ("code", "words", "lasting"),
    [
        ("21610", "opted out", PERMANENT),
        ("30001", "queue", TEMPORARY),
        ("30002", "suspended", ACCOUNT),
        ("30003", "not be reached", TEMPORARY),
        ("30004", "blocks", PERMANENT),
        ("30005", "not in use", PERMANENT),
        ("30006", "landline", PERMANENT),
        ("30007", "spam", ACCOUNT),
        ("30008", "does not say why", TEMPORARY),
        ("30032", "not registered yet", ACCOUNT),
        ("30033", "campaign", ACCOUNT),
        ("30034", "not registered", ACCOUNT),
        ("30036", "in time", TEMPORARY),
        ("30500", "problem", TEMPORARY),
        ("63017", "a second", TEMPORARY),
        ("cancelled", "cancelled", TEMPORARY),
        ("99999", "did not arrive", TEMPORARY),
    ],
)
def test_an_error_of_an_sms_in_words(code: str, words: str, lasting: Lasting) -> None:
    sentence = reason(said(Kind.UNDELIVERED, code)) or ""

    assert words in sentence
    assert sentence.endswith(f"{lasting}).")
    assert (code in sentence) == (code[0].isdigit() or code == "cancelled")


def test_every_error_of_an_sms_is_tested() -> None:
    mark = next(one for one in test_an_error_of_an_sms_in_words.pytestmark if one.name == "parametrize")  # type: ignore[attr-defined]

    assert {row[0] for row in mark.args[1]} == {*SMS_REASONS, "99999"}


@pytest.mark.parametrize(
    ("code", "words", "lasting"),
    [
        ("bounced_before", "bounced before", PERMANENT),
        ("reported_before", "reported", PERMANENT),
        ("unsubscribed", "opted out", PERMANENT),
        ("invalid", "not valid", PERMANENT),
        ("repeated", "repetition", TEMPORARY),
        ("spam_content", "spam", ACCOUNT),
        ("quota", "quota", ACCOUNT),
        ("malformed", "wrong", ACCOUNT),
        (None, "did not try", TEMPORARY),
    ],
)
def test_a_reason_of_a_drop_in_words(code: str | None, words: str, lasting: Lasting) -> None:
    sentence = reason(said(Kind.DROPPED, code)) or ""

    assert words in sentence
    assert sentence.endswith(f"({lasting}).")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("invalid_address", "no such address"),
        ("mailbox_unavailable", "closed or full"),
        ("reputation", "trust"),
        ("content", "content"),
        ("volume", "too many"),
        ("technical", "problem"),
        ("odd", "refused"),
        (None, "refused"),
    ],
)
@pytest.mark.parametrize(("kind", "lasting"), [(Kind.BOUNCED, PERMANENT), (Kind.BLOCKED, TEMPORARY)])
def test_a_class_of_a_bounce_in_words(kind: Kind, lasting: Lasting, code: str | None, words: str) -> None:
    """Whether it is for good is what the provider says, not its class."""
    sentence = reason(said(kind, code)) or ""

    assert words in sentence
    assert sentence.endswith(f"({lasting}).")


@pytest.mark.parametrize("detail", list(STATUSES))
def test_an_enhanced_status_in_words(detail: str) -> None:
    words = STATUSES[detail]

    assert reason(said(Kind.BOUNCED, f"5.{detail}")) == f"{words[0].upper()}{words[1:]} (5.{detail}, permanent)."


@pytest.mark.parametrize("subject", list(SUBJECTS))
def test_an_enhanced_status_that_is_not_listed_speaks_by_its_subject(subject: str) -> None:
    sentence = reason(said(Kind.BLOCKED, f"4.{subject}.99")) or ""

    assert sentence.casefold().startswith(SUBJECTS[subject])


def test_a_delay_says_that_it_is_tried_again() -> None:
    assert reason(said(Kind.DEFERRED, "4.2.2")) == "The mailbox is full (4.2.2); it is tried again."
    assert reason(said(Kind.DEFERRED)) == "The mail server asked to come back later; it is tried again."
