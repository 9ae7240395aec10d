"""mail/send as SendGrid plays it: what it refuses and in which words, what it takes into custody."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import sendgrid
from python_http_client.exceptions import BadRequestsError

Send = Callable[..., httpx.Response]
Mail = Callable[..., dict[str, Any]]

HELP = "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html"
PLAIN = {"type": "text/plain", "value": "Hello"}
HTML = {"type": "text/html", "value": "<p>Hello</p>"}


def to(*addresses: str, **more: object) -> dict[str, object]:
    return {"to": [{"email": address} for address in addresses], **more}


def many(count: int, of: str = "p{}@mail.example") -> list[str]:
    return [of.format(number) for number in range(count)]


REFUSED: list[tuple[str, dict[str, Any], str | None, str]] = [
    ("no personalizations", {"personalizations": None}, "personalizations", "at least one personalization"),
    ("empty personalizations", {"personalizations": []}, "personalizations", "at least one personalization"),
    ("1001 personalizations", {"personalizations": [to(x) for x in many(1001)]}, "personalizations", "provided 1001"),
    (
        "1001 recipients",
        {"personalizations": [to(*many(501)), to(*many(500))]},
        "personalizations",
        "There is a limit of 1000 total recipients (to + cc + bcc) per request.",
    ),
    ("no to", {"personalizations": [{}]}, "personalizations.0.to", "The to array is required"),
    (
        "bad cc",
        {"personalizations": [to("a@b.example", cc=[{"email": "x"}])]},
        "personalizations.0.cc.0.email",
        "Does not",
    ),
    ("no dot", {"personalizations": [to("a@localhost")]}, "personalizations.0.to.0.email", "Does not contain"),
    (
        "non-ASCII local part",
        {"personalizations": [to("jürgen@b.example")]},
        "personalizations.0.to.0.email",
        "Does not",
    ),
    ("two @", {"personalizations": [to("a@b@c.example")]}, "personalizations.0.to.0.email", "Does not contain"),
    ("a space", {"personalizations": [to("a b@c.example")]}, "personalizations.0.to.0.email", "Does not contain"),
    ("two dots", {"personalizations": [to("a..b@c.example")]}, "personalizations.0.to.0.email", "Does not contain"),
    ("a line break", {"personalizations": [to("a@c.example\n")]}, "personalizations.0.to.0.email", "Does not contain"),
    (
        "long local part",
        {"personalizations": [to("a" * 65 + "@c.example")]},
        "personalizations.0.to.0.email",
        "Does not",
    ),
    (
        "empty name",
        {"personalizations": [{"to": [{"email": "a@b.example", "name": ""}]}]},
        "personalizations.0.to.0.name",
        "",
    ),
    (
        "one twice",
        {"personalizations": [to("a@b.example", "A@B.example")]},
        "personalizations.0",
        "first duplicate instance",
    ),
    (
        "one in to and bcc",
        {"personalizations": [to("a@b.example", bcc=[{"email": "a@b.example"}])]},
        "personalizations.0",
        "in the personalizations.0.bcc field",
    ),
    ("number in custom_args", {"personalizations": [to("a@b.example", custom_args={"k": 1})]}, None, "Bad Request"),
    ("number in root custom_args", {"custom_args": {"k": 1}}, None, "Bad Request"),
    (
        "number in substitutions",
        {"personalizations": [to("a@b.example", substitutions={"-k-": 1})]},
        None,
        "Bad Request",
    ),
    ("text as custom_args", {"custom_args": "x"}, "custom_args", "Invalid type. Expected: object, given: string."),
    (
        "long custom_args",
        {"personalizations": [to("a@b.example", custom_args={"k": "x" * 9_993})]},
        "personalizations.0.custom_args",
        "limited to 10000 bytes",
    ),
    (
        "long substitutions",
        {"personalizations": [to("a@b.example", substitutions={"k": "é" * 5_000})]},
        "personalizations.0.substitutions",
        "limited to 10000 bytes",
    ),
    ("no from", {"from": None}, "from.email", "The from object must be provided"),
    ("bad from", {"from": {"email": "acme"}}, "from.email", "Does not contain a valid address."),
    ("bad reply_to", {"reply_to": {"email": "acme"}}, "reply_to.email", "Does not contain a valid address."),
    ("no subject", {"subject": None}, "subject", "The subject is required."),
    ("empty subject", {"subject": ""}, "subject", "The subject is required."),
    (
        "empty own subject",
        {"personalizations": [to("a@b.example", subject="")]},
        "personalizations.0.subject",
        "at least one",
    ),
    ("no content", {"content": None}, "content", "Unless a valid template_id is provided"),
    ("empty content", {"content": [{"type": "text/plain", "value": ""}]}, "content.0.value", "at least one character"),
    ("html before plain", {"content": [HTML, PLAIN]}, "content", "text/plain must be first"),
    ("plain twice", {"content": [PLAIN, PLAIN]}, "content", "may only be provided once"),
    (
        "substitutions with a dynamic template",
        {"template_id": "d-1", "personalizations": [to("a@b.example", substitutions={"-k-": "v"})]},
        "personalizations.0.substitutions",
        "Substitutions may not be used with dynamic templating",
    ),
    ("unknown property", {"colour": "red"}, None, "Additional property colour is not allowed"),
    (
        "unknown inner property",
        {"personalizations": [to("a@b.example", x=1)]},
        "personalizations.0",
        "Additional property x",
    ),
    ("text as personalizations", {"personalizations": "x"}, "personalizations", "Expected: array, given: string"),
    (
        "null as email",
        {"personalizations": [{"to": [{"email": None}]}]},
        "personalizations.0.to.0.email",
        "given: null",
    ),
    (
        "sandbox mode as text",
        {"mail_settings": {"sandbox_mode": {"enable": "yes"}}},
        "mail_settings.sandbox_mode.enable",
        "boolean",
    ),
    ("11 categories", {"categories": many(11)}, "categories", "limit of 10"),
    ("category twice", {"categories": ["a", "a"]}, "categories", "unique"),
    ("long category", {"categories": ["a" * 256]}, "categories.0", "255"),
    ("asm without group", {"asm": {}}, "asm.group_id", "group_id"),
    ("too far ahead", {"send_at": int(time.time()) + 73 * 3600}, "send_at", "72 hours"),
]


@pytest.mark.parametrize(
    ("change", "field", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_broken_rule_is_named_and_nothing_is_accepted(
    sandbox: httpx.Client, send_mail: Send, mail: Mail, change: dict[str, Any], field: str | None, words: str
) -> None:
    answer = send_mail(mail(**change))
    assert answer.status_code == 400
    first = answer.json()["errors"][0]
    assert set(first) == {"message", "field", "help"}
    assert first["field"] == field
    assert words in first["message"]
    assert (first["help"] is None) == (field is None)
    assert sandbox.get("/sandbox/counts").json()["sendgrid"] == {
        "requests": 1,
        "accepted": 0,
        "messages": 0,
        "dropped": 0,
    }


TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("1000 personalizations", {"personalizations": [to(x) for x in many(1000)]}),
    ("1000 recipients in one", {"personalizations": [to(*many(1000))]}),
    ("plus and dash", {"personalizations": [to("a.b+c-d@sub.b-c.example")]}),
    ("punycode", {"personalizations": [to("a@xn--bcher-kva.xn--p1ai")]}),
    ("largest custom_args", {"personalizations": [to("a@b.example", custom_args={"k": "x" * 9_992})]}),
    ("own subjects", {"subject": None, "personalizations": [to("a@b.example", subject="Hi")]}),
    ("template without content", {"subject": None, "content": None, "template_id": "d-1"}),
    ("one address in two personalizations", {"personalizations": [to("a@b.example"), to("a@b.example")]}),
    ("plain, html, calendar", {"content": [PLAIN, HTML, {"type": "text/calendar", "value": "x"}]}),
    ("tracking settings", {"tracking_settings": {"click_tracking": {"enable": False, "enable_text": False}}}),
    ("72 hours ahead", {"send_at": int(time.time()) + 71 * 3600}),
    ("10 categories", {"categories": many(10)}),
]


@pytest.mark.parametrize("change", [case[1] for case in TAKEN], ids=[case[0] for case in TAKEN])
def test_what_is_at_the_edge_of_a_rule_is_taken(send_mail: Send, mail: Mail, change: dict[str, Any]) -> None:
    answer = send_mail(mail(**change))
    assert (answer.status_code, answer.content) == (202, b"")
    assert len(answer.headers["X-Message-Id"]) == 22


def test_one_bad_address_refuses_all_and_names_its_place(sandbox: httpx.Client, send_mail: Send, mail: Mail) -> None:
    answer = send_mail(mail(*many(12), "not an address", *many(3, of="q{}@mail.example")))
    assert answer.json() == {
        "errors": [
            {
                "message": "Does not contain a valid address.",
                "field": "personalizations.12.to.0.email",
                "help": f"{HELP}#message.personalizations.to",
            }
        ]
    }
    assert sandbox.get("/sandbox/messages", params={"state": "all"}).json() == {"messages": []}


@pytest.mark.parametrize("authorization", [None, "Bearer SG.other", "Basic SG.sandbox", "Bearer", "Bearer é"])
def test_wrong_credentials_get_the_providers_own_words(
    sandbox: httpx.Client, mail: Mail, authorization: str | None
) -> None:
    headers = [(b"Authorization", authorization.encode())] if authorization else []
    for answer in (
        sandbox.post("/v3/mail/send", json=mail(), headers=headers),
        sandbox.get("/v3/scopes", headers=headers),
    ):
        assert answer.status_code == 401
        message = "The provided authorization grant is invalid, expired, or revoked"
        assert answer.json() == {"errors": [{"message": message, "field": None, "help": None}]}


def test_scopes_show_that_the_key_is_right(sandbox: httpx.Client) -> None:
    answer = sandbox.get("/v3/scopes", headers={"Authorization": "Bearer SG.sandbox"})
    assert answer.status_code == 200
    assert "mail.send" in answer.json()["scopes"]


@pytest.mark.parametrize(
    ("method", "path", "content_type", "status"),
    [
        ("GET", "/v3/mail/send", "application/json", 405),
        ("PUT", "/v3/mail/send", "application/json", 405),
        ("POST", "/v3/mail/sent", "application/json", 404),
        ("POST", "/v3/mail/send", "text/plain", 415),
        ("POST", "/v3/mail/send", "application/json", 400),
    ],
)
def test_the_request_itself_is_wrong(
    sandbox: httpx.Client, method: str, path: str, content_type: str, status: int
) -> None:
    headers = {"Authorization": "Bearer SG.sandbox", "Content-Type": content_type}
    answer = sandbox.request(method, path, content=b"{", headers=headers)
    assert answer.status_code == status
    assert list(answer.json()) == ["errors"]


def test_more_than_30_megabytes_are_too_large(sandbox: httpx.Client) -> None:
    """The whole body is read first: a client in the middle of its upload would see a reset, not the 413."""
    headers = {"Authorization": "Bearer SG.sandbox", "Content-Type": "application/json"}
    answer = sandbox.post("/v3/mail/send", content=b" " * (30 * 1024 * 1024 + 1), headers=headers)
    assert answer.status_code == 413


def test_sandbox_mode_checks_only(sandbox: httpx.Client, send_mail: Send, mail: Mail) -> None:
    answer = send_mail(mail(mail_settings={"sandbox_mode": {"enable": True}}))
    assert (answer.status_code, answer.content) == (200, b"")
    assert "X-Message-Id" not in answer.headers
    assert sandbox.get("/sandbox/counts").json()["sendgrid"]["accepted"] == 0


def test_each_recipient_receives_their_own_text(sandbox: httpx.Client, send_mail: Send, mail: Mail) -> None:
    body = mail(
        subject="Your renewal, -name-",
        content=[{"type": "text/plain", "value": "Go -link- -name-s"}, {"type": "text/html", "value": "<b>-name-</b>"}],
        custom_args={"bs_batch": "7", "bs_unit": "root"},
        personalizations=[
            to("ana@mail.example", substitutions={"-name-": "Ana", "-link-": "-name-"}, custom_args={"bs_unit": "u1"}),
            to("bob@mail.example", substitutions={"-name-": "<Bob>", "-link-": "L"}, subject="Own -name-"),
        ],
    )
    message_id = send_mail(body).headers["X-Message-Id"]
    bob, ana = sandbox.get("/sandbox/messages").json()["messages"]
    shown = ("to", "subject", "text", "html", "request", "position", "custom_args", "from")
    assert [[one[name] for name in shown] for one in (ana, bob)] == [
        [
            "ana@mail.example",
            "Your renewal, Ana",
            "Go -name- Anas",
            "<b>Ana</b>",
            message_id,
            0,
            {"bs_batch": "7", "bs_unit": "u1"},
            "renewals@acme.example",
        ],
        [
            "bob@mail.example",
            "Own <Bob>",
            "Go L <Bob>s",
            "<b><Bob></b>",
            message_id,
            1,
            {"bs_batch": "7", "bs_unit": "root"},
            "renewals@acme.example",
        ],
    ]


def test_cc_and_bcc_receive_it_too(sandbox: httpx.Client, send_mail: Send, mail: Mail) -> None:
    people = to("a@b.example", cc=[{"email": "c@b.example"}], bcc=[{"email": "d@b.example"}])
    send_mail(mail(personalizations=[people]))
    received = sandbox.get("/sandbox/messages").json()["messages"]
    assert [(one["role"], one["to"]) for one in received] == [
        ("bcc", "d@b.example"),
        ("cc", "c@b.example"),
        ("to", "a@b.example"),
    ]


def test_a_suppressed_address_is_accepted_but_receives_nothing(
    sandbox: httpx.Client, send_mail: Send, mail: Mail
) -> None:
    lists = {"sendgrid": ["Gone@Mail.example", {"address": "off@mail.example", "reason": "Unsubscribed Address"}]}
    sandbox.put("/sandbox/suppressions", json=lists).raise_for_status()
    assert send_mail(mail("gone@mail.example", "ana@mail.example", "OFF@mail.example")).status_code == 202
    received = sandbox.get("/sandbox/messages").json()["messages"]
    assert [one["to"] for one in received] == ["ana@mail.example"]
    dropped = sandbox.get("/sandbox/messages", params={"state": "dropped"}).json()["messages"]
    assert [(one["to"], one["reason"]) for one in dropped] == [
        ("OFF@mail.example", "Unsubscribed Address"),
        ("gone@mail.example", "Bounced Address"),
    ]
    assert sandbox.get("/sandbox/counts").json()["sendgrid"] == {
        "requests": 1,
        "accepted": 1,
        "messages": 1,
        "dropped": 2,
    }


@pytest.mark.parametrize(
    ("verified", "status"),
    [([], 202), (["renewals@acme.example"], 202), (["@acme.example"], 202), (["other@acme.example"], 403)],
)
def test_only_verified_senders_may_send(
    sandbox: httpx.Client, send_mail: Send, mail: Mail, verified: list[str], status: int
) -> None:
    sandbox.put("/sandbox/settings", json={"verified_senders": verified}).raise_for_status()
    answer = send_mail(mail(**{"from": {"email": "Renewals@acme.example"}}))
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["errors"][0]["field"] == "from"
        assert "verified Sender Identity" in answer.json()["errors"][0]["message"]


def test_the_providers_own_client_is_understood(
    sandbox: httpx.Client, sendgrid_client: sendgrid.SendGridAPIClient, mail: Mail
) -> None:
    answer = sendgrid_client.client.mail.send.post(request_body=mail("ana@mail.example"))
    assert answer.status_code == 202
    received = sandbox.get("/sandbox/messages", params={"request": answer.headers["X-Message-Id"]}).json()["messages"]
    assert [one["to"] for one in received] == ["ana@mail.example"]
    with pytest.raises(BadRequestsError) as refused:
        sendgrid_client.client.mail.send.post(request_body=mail("nobody"))
    assert refused.value.to_dict["errors"][0]["field"] == "personalizations.0.to.0.email"
