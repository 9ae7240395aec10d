"""SendGrid: what a call holds, and what each answer proves."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any
from urllib.error import URLError

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels import sendgrid
from channels.people import Label
from channels.sendgrid import Letter, SendGrid, classify, classify_fault, compose
from domain.outcomes import Outcome, OutcomeKind
from domain.processes import EmailOutput
from domain.rendering import fill, tagged
from tests.factories import personal
from tests.servers import Answer, nowhere, serving

LABEL = Label(batch="0123456789abcdef0123456789abcdef", request=7)
LINK = "https://go.acme.example/l/abc_-123"
OUTPUT = EmailOutput.model_validate(
    {
        "from": "Acme <post@acme.example>",
        "subject": "Dear {{ name }}",
        "text": "{{ name }}, {{link}}",
        "html": '<p>{{ name }}</p><a href="{{ link }}">open</a>',
    }
)
A, L, N, R, S, D = (
    OutcomeKind.ACCEPTED,
    OutcomeKind.TRY_LATER,
    OutcomeKind.RECIPIENT_REFUSED,
    OutcomeKind.REQUEST_REFUSED,
    OutcomeKind.ACCOUNT_REFUSED,
    OutcomeKind.IN_DOUBT,
)


def errors(*fields: str | None, message: str = "Does not contain a valid address.") -> bytes:
    return json.dumps({"errors": [{"message": message, "field": one, "help": None} for one in fields]}).encode()


# What an answer proves


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (202, b"", A, None),
        (200, b"", D, "http_200"),
        (201, b"", D, "http_201"),
        (302, b"", D, "http_302"),
        (400, errors("personalizations.12.to.0.email"), N, "400"),
        (400, errors("personalizations.0.to"), N, "400"),
        (400, errors("personalizations.3"), N, "400"),
        (400, errors(None, "personalizations.5.custom_args"), N, "400"),
        (400, errors(None), R, "400"),
        (400, errors("personalizations"), R, "400"),
        (400, errors("personalizations_x.1"), R, "400"),
        (400, errors("from.email"), S, "400"),
        (400, errors("subject"), S, "400"),
        (400, errors("content.0.value"), S, "400"),
        (400, b"", R, "400"),
        (400, b"<html>", R, "400"),
        (400, b"[]", R, "400"),
        (400, b'{"errors": "Bad Request"}', R, "400"),
        (400, b'{"errors": [null, "text"]}', R, "400"),
        (401, errors(None), S, "401"),
        (403, errors("from"), S, "403"),
        (404, b"", S, "404"),
        (405, b"", S, "405"),
        (413, errors(None), R, "413"),
        (415, b"", S, "415"),
        (429, errors(None), L, "429"),
        (429, b"<html>", L, "429"),
        (500, errors(None), D, "http_500"),
        (502, b"<html>", D, "http_502"),
        (503, b"", D, "http_503"),
        (504, b"", D, "http_504"),
        (418, b"", D, "http_418"),
    ],
)
def test_a_status_proves(status: int, body: bytes, kind: OutcomeKind, code: str | None) -> None:
    found = classify(status, {}, body)

    assert (found.kind, found.code, found.http_status) == (kind, code, status)


@pytest.mark.parametrize("name", ["X-Message-Id", "x-message-id", "X-MESSAGE-ID"])
def test_an_acceptance_has_the_id_of_the_request(name: str) -> None:
    assert classify(202, {name: "abc"}, b"") == Outcome(A, provider_id="abc", http_status=202)


@pytest.mark.parametrize("position", [0, 12, 999])
def test_the_member_that_was_refused_is_named_by_its_place(position: int) -> None:
    assert classify(400, {}, errors(f"personalizations.{position}.to.0.email")).member == position


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "999999"}, 3600.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": ""}, None),
        ({"X-RateLimit-Reset": "1"}, 0.0),
        ({"X-RateLimit-Reset": "soon"}, None),
        ({"X-RateLimit-Limit": "600"}, None),
        ({}, None),
    ],
)
def test_the_wait_that_is_asked_for_is_told(headers: Mapping[str, str], seconds: float | None) -> None:
    assert classify(429, headers, b"").retry_after == seconds


def test_the_end_of_a_limit_is_told_in_seconds_from_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_000.0)

    assert classify(429, {"X-RateLimit-Reset": "1042"}, b"").retry_after == 42.0


@pytest.mark.parametrize(
    ("status", "message", "sentence"),
    [
        (401, "Maximum credits exceeded", "credits are used up"),
        (403, "The from address does not match a verified Sender Identity.", "has not verified the sender"),
        (401, "The provided authorization grant is invalid", "refused the API key (HTTP 401)"),
        (403, "access forbidden", "does not let this account send (HTTP 403)"),
    ],
)
def test_a_refused_account_says_what_to_mend(status: int, message: str, sentence: str) -> None:
    found = classify(status, {}, errors(None, message=message))

    assert sentence in (found.detail or "")
    assert "resume the batch" in (found.detail or "")


@pytest.mark.parametrize("status", [400, 401, 403, 413, 429, 500])
def test_no_detail_repeats_what_the_provider_quotes(status: int) -> None:
    quoting = json.dumps(
        {"errors": [{"message": "ann@mail.example is bad", "field": "ann@mail.example", "help": "Ann"}]}
    ).encode()

    assert "ann" not in (classify(status, {}, quoting).detail or "").lower()


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (URLError(ConnectionRefusedError()), L, "ConnectionRefusedError"),
        (URLError(socket.gaierror()), L, "gaierror"),
        (URLError(ssl.SSLCertVerificationError()), L, "SSLCertVerificationError"),
        (URLError(TimeoutError()), D, "TimeoutError"),
        (URLError(ConnectionResetError()), D, "ConnectionResetError"),
        (URLError(ssl.SSLError()), D, "SSLError"),
        (URLError("unknown"), D, "URLError"),
        (TimeoutError(), D, "TimeoutError"),
        (ConnectionResetError(), D, "ConnectionResetError"),
        (BrokenPipeError(), D, "BrokenPipeError"),
        # Raised by itself it may come from a later read: only as the reason of a connect it proves anything.
        (ConnectionRefusedError(), D, "ConnectionRefusedError"),
        (http.client.RemoteDisconnected(""), D, "RemoteDisconnected"),
        (http.client.IncompleteRead(b""), D, "IncompleteRead"),
        (http.client.BadStatusLine("x"), D, "BadStatusLine"),
        (ValueError("x"), D, "ValueError"),
    ],
)
def test_a_fault_proves(fault: Exception, kind: OutcomeKind, code: str) -> None:
    found = classify_fault(fault)

    assert (found.kind, found.code, found.http_status) == (kind, code, None)


# What a call holds


Somebody = tuple[int, str, dict[str, str]]


def written(*people: Somebody, output: EmailOutput = OUTPUT) -> bytes:
    return compose(output, personal(*people), label=LABEL)


def call(*people: Somebody, output: EmailOutput = OUTPUT) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(written(*people, output=output))
    return found


def ann(**values: str) -> Somebody:
    return 2, "ann@mail.example", {"name": "Ann", "link": LINK, **values}


def read(body: Mapping[str, Any], index: int = 0) -> tuple[str, ...]:
    """What one person reads, as SendGrid makes it: every tag replaced, in every part."""
    texts = [body["subject"], *(part["value"] for part in body["content"])]
    for tag, value in body["personalizations"][index]["substitutions"].items():
        texts = [text.replace(tag, value) for text in texts]
    return tuple(texts)


def test_everybody_reads_their_own_text_with_their_own_link() -> None:
    bob = (3, "bob@mail.example", {"name": "Bob", "link": LINK + "b"})
    body = call(ann(), bob)

    assert read(body) == ("Dear Ann", f"Ann, {LINK}", f'<p>Ann</p><a href="{LINK}">open</a>')
    assert read(body, 1) == ("Dear Bob", f"Bob, {LINK}b", f'<p>Bob</p><a href="{LINK}b">open</a>')


def test_each_person_is_addressed_alone_and_in_order() -> None:
    body = call(*[(row, f"p{row}@mail.example", {"name": "x", "link": LINK}) for row in range(2, 6)])

    assert [person["to"] for person in body["personalizations"]] == [
        [{"email": f"p{row}@mail.example"}] for row in range(2, 6)
    ]


def test_what_comes_back_in_receipts_is_nothing_personal() -> None:
    assert call(ann(name="Ann Private"))["personalizations"][0]["custom_args"] == {
        "bs_batch": LABEL.batch,
        "bs_request": "7",
        "bs_unit": f"{LABEL.batch}-7",
        "bs_row": "2",
    }


def test_every_value_is_text_and_every_tracking_is_off() -> None:
    body = call(ann())

    for person in body["personalizations"]:
        assert {type(value) for part in ("custom_args", "substitutions") for value in person[part].values()} == {str}
    assert body["tracking_settings"] == {
        "click_tracking": {"enable": False, "enable_text": False},
        "open_tracking": {"enable": False},
        "subscription_tracking": {"enable": False},
    }


def test_a_value_is_escaped_in_html_and_nowhere_else() -> None:
    body = call(ann(name='<b>"O\'Neil" & Co</b>'))

    assert read(body) == (
        'Dear <b>"O\'Neil" & Co</b>',
        f'<b>"O\'Neil" & Co</b>, {LINK}',
        f'<p>&lt;b&gt;&quot;O&#x27;Neil&quot; &amp; Co&lt;/b&gt;</p><a href="{LINK}">open</a>',
    )


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\0"])
def test_a_line_break_in_a_value_cannot_add_a_header(line_break: str) -> None:
    body = call(ann(name=f"Ann{line_break}Bcc: all@mail.example"))

    assert read(body)[0] == "Dear Ann Bcc: all@mail.example"
    assert read(body)[1].startswith(f"Ann{line_break}Bcc")


def test_the_sender_is_an_address_and_a_name_where_there_is_one() -> None:
    plain = OUTPUT.model_copy(update={"sender": "post@acme.example"})

    assert call(ann())["from"] == {"email": "post@acme.example", "name": "Acme"}
    assert call(ann(), output=plain)["from"] == {"email": "post@acme.example"}


def test_plain_text_comes_before_html_and_html_may_be_missing() -> None:
    plain = OUTPUT.model_copy(update={"html": None})

    assert [part["type"] for part in call(ann())["content"]] == ["text/plain", "text/html"]
    assert [part["type"] for part in call(ann(), output=plain)["content"]] == ["text/plain"]


@given(
    st.text(),
    st.text(),
    st.sampled_from(["{{a}}{{aa}}", "-{{a}}-{{ aa }}-", "{{a}} {{link}} {{ a }}", "{{aa}}a{{a}}aa", "-s.a- {{a}}"]),
)
def test_tags_never_touch_each_other_or_a_value(a: str, aa: str, text: str) -> None:
    """SendGrid replaces blindly, one tag after the other, also in what it has just put in."""
    output = EmailOutput.model_validate({"from": "a@b.example", "subject": "x", "text": text})
    values = {"a": a, "aa": aa, "link": LINK}

    assert read(call(ann(**values), output=output))[1] == fill(text, values)


def written_in_one_expression(output: EmailOutput, people: pl.DataFrame) -> bytes:
    """The people of a call as the first releases wrote them."""
    person = pl.struct(
        pl.concat_list(pl.struct(pl.col("address").alias("email"))).alias("to"),
        pl.struct(*tagged(output, mark=LABEL.batch[:12]).substitutions(people.columns)).alias("substitutions"),
        pl.struct(
            pl.lit(LABEL.batch).alias("bs_batch"),
            pl.lit(str(LABEL.request)).alias("bs_request"),
            pl.lit(LABEL.unit).alias("bs_unit"),
            pl.col("row").cast(pl.String).alias("bs_row"),
        ).alias("custom_args"),
    )
    text: str = people.select(person.struct.json_encode().str.join(",")).item()
    return b'{"personalizations":[%s],' % text.encode()


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=5))
def test_a_batch_that_was_begun_by_an_earlier_release_goes_on_with_the_same_bytes(
    values: list[tuple[str, str]],
) -> None:
    """Other bytes than at the first attempt would halt it."""
    people = personal(
        *[(row, f"{name}@mail.example", {"name": name, "link": link}) for row, (name, link) in enumerate(values)]
    )

    assert compose(OUTPUT, people, label=LABEL).startswith(written_in_one_expression(OUTPUT, people))


ODD = [*map(chr, range(0x20)), *"\x7f\x85\u2028\u2029\"\\&<>'"]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(
            [f"a{sign}b" for sign in map(chr, (*range(0xD800), *range(0xE000, 0x12000))) if sign not in ODD], id="plain"
        ),
        *([form.format(sign)] for sign in ODD for form in ("a{}b", "{}")),
        *([value] for value in (" a", "a ", "\u3000a", "a\n", "")),
    ],
)
def test_every_character_is_written_as_earlier_releases_wrote_it(values: list[str]) -> None:
    """Columns without an odd value take a shorter way."""
    people = personal(*[(row, "a@mail.example", {"name": value, "link": LINK}) for row, value in enumerate(values)])

    assert compose(OUTPUT, people, label=LABEL).startswith(written_in_one_expression(OUTPUT, people))


def test_a_letter_is_written_to_those_who_are_named_in_their_order() -> None:
    people = personal(*[(row, f"p{row}@mail.example", {"name": f"N{row}", "link": LINK}) for row in (2, 3, 5, 8)])
    letter = Letter(OUTPUT, people, batch=LABEL.batch)

    assert letter.body([8, 3], label=LABEL) == compose(OUTPUT, people[[3, 1]], label=LABEL)
    with pytest.raises(KeyError):
        letter.body([8, 4], label=LABEL)


def test_the_same_call_has_the_same_digest_and_another_has_another() -> None:
    assert sendgrid.digest(written(ann())) == sendgrid.digest(written(ann()))
    assert sendgrid.digest(written(ann())) != sendgrid.digest(written(ann(name="Anne")))


# SendGrid's own client against a server


def send(url: str, *, timeout_seconds: float = 5) -> Outcome:
    async def run() -> Outcome:
        client = SendGrid(api_key="SG.key", host=url, timeout_seconds=timeout_seconds, connections=2)
        try:
            return await client.send(written(ann()))
        finally:
            await client.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(202, {"X-Message-Id": "abc"}), Outcome(A, provider_id="abc", http_status=202)),
        (
            Answer(400, {"Content-Type": "application/json"}, errors("personalizations.3.to.0.email")),
            Outcome(N, http_status=400, code="400", detail="SendGrid refused the address.", member=3),
        ),
        (
            Answer(429, {"Retry-After": "3"}, errors(None)),
            Outcome(L, http_status=429, code="429", detail="SendGrid asked to wait.", retry_after=3.0),
        ),
        (
            Answer(429, {"X-RateLimit-Reset": "1"}),
            Outcome(L, http_status=429, code="429", detail="SendGrid asked to wait.", retry_after=0.0),
        ),
        (
            Answer(500, {"Content-Type": "text/html"}, b"<html>"),
            Outcome(
                D,
                http_status=500,
                code="http_500",
                detail="SendGrid answered 500, which does not say whether it took the emails.",
            ),
        ),
        (
            Answer(400, {}, b"\xff\xfe garbage"),
            Outcome(R, http_status=400, code="400", detail="SendGrid refused the request."),
        ),
    ],
)
def test_one_call_is_one_request_and_its_answer_is_understood(answer: Answer, expected: Outcome) -> None:
    with serving(answer) as server:
        assert send(server.url) == expected
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(hangs=True), "TimeoutError"),
        (Answer(resets=True), "ConnectionResetError"),
        (Answer(500, {}, b"half", claims=99), "IncompleteRead"),
    ],
)
def test_a_call_whose_answer_is_lost_is_in_doubt_and_not_repeated(answer: Answer, code: str) -> None:
    with serving(answer) as server:
        found = send(server.url, timeout_seconds=1)
    assert (found.kind, found.code, len(server.asked)) == (D, code, 1)


def test_a_server_that_is_not_there_can_be_asked_later() -> None:
    assert send(nowhere()).kind is L


def test_a_call_is_what_was_composed_and_carries_the_key() -> None:
    with serving(Answer()) as server:
        send(server.url + "/")
    asked = server.asked[0]

    assert asked.path == "/v3/mail/send"
    assert asked.headers["Authorization"] == "Bearer SG.key"
    assert asked.headers["Content-Type"] == "application/json"
    assert asked.body == written(ann())


def test_the_key_and_the_bodies_are_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with serving(Answer()) as server:
        send(server.url)

    for private in ("SG.key", "ann@mail.example", LINK):
        assert private not in caplog.text
