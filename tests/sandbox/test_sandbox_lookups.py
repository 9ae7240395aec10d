"""Email Activity and Email Logs: what they find, what they do not, and how late; both settle doubts about requests."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sandbox.lookup import ACTIVITY, LOGS
from sandbox.query import Language, QueryRefused, translate

Ask = Callable[..., httpx.Response]
Send = Callable[..., httpx.Response]
Mail = Callable[..., dict[str, Any]]
Until = Callable[[Callable[[], Any]], Any]

PACE = 1_000_000
OPEN_ENDED = {"activity_per_minute": 1000, "time_scale": PACE}


@pytest.fixture
def activity(sandbox: httpx.Client, ask: Ask) -> Callable[..., list[dict[str, Any]]]:
    """Ask Email Activity as often as one likes, of messages that settle at once."""
    sandbox.put("/sandbox/settings", json=OPEN_ENDED).raise_for_status()

    def find(query: str, **more: object) -> list[dict[str, Any]]:
        answer = ask("GET", "/v3/messages", params={"query": query, **more})
        return list(answer.raise_for_status().json()["messages"])

    return find


@pytest.fixture
def logs(sandbox: httpx.Client, ask: Ask) -> Callable[..., list[dict[str, Any]]]:
    """Ask Email Logs, of messages that settle at once."""
    sandbox.put("/sandbox/settings", json={"time_scale": PACE}).raise_for_status()

    def find(query: str, **more: object) -> list[dict[str, Any]]:
        answer = ask("POST", "/v3/logs", json={"query": query, **more})
        return list(answer.raise_for_status().json()["messages"])

    return find


def to(messages: list[dict[str, Any]]) -> list[str]:
    return [one["to_email"] for one in messages]


def people(*addresses: str, unit: str) -> list[dict[str, Any]]:
    return [{"to": [{"email": one}], "custom_args": {"bs_unit": unit, "who": one[0]}} for one in addresses]


def test_activity_finds_a_request_by_its_custom_argument_and_by_its_id(
    activity: Callable[..., list[dict[str, Any]]], send_mail: Send, mail: Mail
) -> None:
    """One question settles a request of a thousand."""
    key = send_mail(mail(personalizations=people("ana@m.example", "bob@m.example", unit="u1"))).headers["X-Message-Id"]
    send_mail(mail(personalizations=people("cyd@m.example", unit="u2")))
    found = activity("unique_args['bs_unit']=\"u1\"", limit=1000)
    assert to(found) == ["bob@m.example", "ana@m.example"]
    assert all(one["msg_id"].startswith(f"{key}.") for one in found)
    assert activity(f"msg_id LIKE '{key}%'") == found
    assert activity(f'msg_id="{found[0]["msg_id"]}"') == found[:1]
    assert activity("unique_args['bs_unit']=\"u3\"") == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["cyd", "bob", "ana"]),
        ('to_email="ANA@m.example"', ["ana"]),
        ('to_email = "ana@m.example" OR to_email = "bob@m.example"', ["bob", "ana"]),
        ("to_email IN ('ana@m.example', 'cyd@m.example')", ["cyd", "ana"]),
        ("to_email NOT IN ('ana@m.example')", ["cyd", "bob"]),
        ('NOT (to_email="ana@m.example") AND from_email="renewals@acme.example"', ["cyd", "bob"]),
        ('to_email LIKE "%b@m.example"', ["bob"]),
        ('to_email NOT LIKE "%b@m.example"', ["cyd", "ana"]),
        ('subject="Hello c"', ["cyd"]),
        ('subject!="Hello c"', ["bob", "ana"]),
        ('status="delivered"', ["cyd", "bob", "ana"]),
        ('status="not_delivered"', []),
        ("unique_args['who']!='a'", ["cyd", "bob"]),
        ("unique_args['none']!='a'", []),
        ("NOT unique_args['none']='a'", ["cyd", "bob", "ana"]),
        ("unique_args['who'] IS NULL", []),
        ('Contains(categories, "news")', ["cyd", "bob", "ana"]),
        ('Contains(categories, "old")', []),
        ('categories IN ("news", "old")', ["cyd", "bob", "ana"]),
        ('last_event_time > TIMESTAMP "2020-01-01T00:00:00Z"', ["cyd", "bob", "ana"]),
        ('last_event_time BETWEEN TIMESTAMP "2020-01-01T00:00:00Z" AND TIMESTAMP "2021-01-01T00:00:00Z"', []),
        ('to_email="\' OR 1=1 --"', []),
        ('asm_group_id="5"', ["cyd", "bob", "ana"]),
    ],
)
def test_activity_understands_its_query_language(
    activity: Callable[..., list[dict[str, Any]]], send_mail: Send, mail: Mail, query: str, found: list[str]
) -> None:
    blocks = people("ana@m.example", "bob@m.example", "cyd@m.example", unit="u1")
    for block in blocks:
        block["substitutions"] = {"-n-": block["custom_args"]["who"]}
    send_mail(mail(personalizations=blocks, subject="Hello -n-", categories=["news", "uk"], asm={"group_id": 5}))
    assert [one.partition("@")[0] for one in to(activity(query))] == found


@pytest.mark.parametrize(
    ("language", "query", "says"),
    [
        (ACTIVITY, 'bad_field="x"', "invalid syntax: 'bad_field' is not a known field"),
        (ACTIVITY, 'to_email="x" AND', "unexpected end"),
        (ACTIVITY, 'to_email="x" to_email="y"', "unexpected"),
        (ACTIVITY, "to_email=x", "expected a value"),
        (ACTIVITY, "to_email;", "unexpected"),
        (ACTIVITY, '(to_email="x"', "unexpected end"),
        (ACTIVITY, 'Contains(subject, "x")', "CONTAINS expects an array or map type as the first argument"),
        (ACTIVITY, "unique_args='x'", "expected '['"),
        (ACTIVITY, "unique_args['a\"b']='x'", "not a known key"),
        (ACTIVITY, 'last_event_time > "soon"', "not a timestamp"),
        (ACTIVITY, "(" * 60 + "status='x'" + ")" * 60, "too deeply"),
        (LOGS, "to_email != 'x'", "operator"),
        (LOGS, "to_email LIKE 'x%'", "operator"),
        (LOGS, "status = 'x'", "operator"),
        (LOGS, "to_email='x' OR to_email='y'", "OR is not supported"),
        (LOGS, "(to_email='x')", "nesting is not supported"),
        (LOGS, "NOT to_email='x'", "NOT is not supported"),
        (LOGS, "unique_args['k']='x'", "'unique_args' is not a known field"),
    ],
)
def test_what_is_not_understood_is_said(language: Language, query: str, says: str) -> None:
    with pytest.raises(QueryRefused) as refused:
        translate(query, language)
    assert says in str(refused.value)


def test_a_wrong_question_is_a_400_of_either(ask: Ask) -> None:
    wrong = "invalid syntax: 'bad_field' is not a known field"
    activity = ask("GET", "/v3/messages", params={"query": 'bad_field="x"'})
    assert (activity.status_code, activity.json()) == (400, {"errors": [{"message": wrong, "field": "query"}]})
    logs = ask("POST", "/v3/logs", json={"query": 'bad_field="x"'})
    assert (logs.status_code, logs.json()) == (activity.status_code, activity.json())
    for limit in (0, 1001):
        assert ask("GET", "/v3/messages", params={"limit": limit}).status_code == 400
        assert ask("POST", "/v3/logs", json={"limit": limit}).status_code == 400
    bodies: list[object] = [{"page": 2}, {"query": 1}, []]
    for body in bodies:
        assert ask("POST", "/v3/logs", json=body).status_code == 400


def test_activity_answers_six_times_a_minute(sandbox: httpx.Client, ask: Ask) -> None:
    statuses = [ask("GET", "/v3/messages").status_code for _ in range(7)]
    assert statuses == [200] * 6 + [429]
    refused = ask("GET", "/v3/messages/x")
    assert refused.json() == {"errors": [{"message": "too many requests"}]}
    assert refused.headers["X-RateLimit-Limit"] == "6"
    sandbox.put("/sandbox/settings", json={"time_scale": PACE}).raise_for_status()
    assert ask("GET", "/v3/messages").status_code == 200


def test_activity_is_an_add_on(sandbox: httpx.Client, ask: Ask) -> None:
    sandbox.put("/sandbox/settings", json={"email_activity": False}).raise_for_status()
    refused = ask("GET", "/v3/messages")
    assert (refused.status_code, refused.json()) == (400, {"errors": [{"message": "authorization required"}]})
    assert "messages.read" not in ask("GET", "/v3/scopes").json()["scopes"]
    assert ask("POST", "/v3/logs", json={}).status_code == 200


def test_one_message_of_activity_has_its_events_and_arguments(
    activity: Callable[..., list[dict[str, Any]]], ask: Ask, send_mail: Send, mail: Mail
) -> None:
    send_mail(mail("defer@m.example", custom_args={"bs_unit": "u1"}, categories=["news"]))
    (found,) = activity("status='delivered'")
    assert set(found) == {
        "from_email",
        "msg_id",
        "subject",
        "to_email",
        "status",
        "opens_count",
        "clicks_count",
        "last_event_time",
    }
    shown = ask("GET", f"/v3/messages/{found['msg_id']}").json()
    assert (shown["unique_args"], shown["categories"]) == ('{"bs_unit":"u1"}', ["news"])
    assert [one["event_name"] for one in shown["events"]] == ["processed", "deferred", "deferred", "delivered"]
    missing = ask("GET", "/v3/messages/none")
    assert (missing.status_code, missing.json()) == (404, {"errors": [{"message": "not found", "field": "message_id"}]})


def test_logs_find_by_address_and_window_and_show_custom_arguments(
    logs: Callable[..., list[dict[str, Any]]], ask: Ask, send_mail: Send, mail: Mail
) -> None:
    """Email Logs cannot search custom_args: find the person, open the message, compare."""
    key = send_mail(mail(personalizations=people("ana@m.example", "bob@m.example", unit="u1"))).headers["X-Message-Id"]
    now = datetime.now(UTC)
    window = (
        f'sg_message_id_created_at >= TIMESTAMP "{(now - timedelta(minutes=1)).isoformat()}" '
        f'AND sg_message_id_created_at < TIMESTAMP "{(now + timedelta(minutes=1)).isoformat()}"'
    )
    (found,) = logs(f"to_email = 'ana@m.example' AND {window}")
    assert set(found) == {
        "from_email",
        "sg_message_id",
        "subject",
        "to_email",
        "reason",
        "status",
        "sg_message_id_created_at",
    }
    assert found["sg_message_id"].startswith(f"{key}.")
    assert logs(f"sg_message_id = '{found['sg_message_id']}'") == [found]
    assert logs(f"to_email = 'ana@m.example' AND sg_message_id_created_at > TIMESTAMP \"{now.isoformat()}\"") == []
    shown = ask("GET", f"/v3/logs/{found['sg_message_id']}").json()
    assert shown["custom_args"] == {"bs_unit": "u1", "who": "a"}
    assert [one["event"] for one in shown["events"]] == ["received", "processed", "delivered"]
    assert (shown["events"][0]["recv_msgid"], shown["events"][0]["recipient_count"]) == (key, 2)
    assert ask("GET", f"/v3/logs/{key}.none").status_code == 404


@pytest.mark.parametrize(
    ("address", "logged", "active"),
    [
        ("ana@m.example", "delivered", "delivered"),
        ("bounce@m.example", "bounced", "not_delivered"),
        ("block@m.example", "blocked", "not_delivered"),
        ("drop@m.example", "dropped", "not_delivered"),
        ("silent@m.example", "processed", "processed"),
        ("spam@m.example", "delivered", "delivered"),
        ("latebounce@m.example", "bounced", "not_delivered"),
    ],
)
def test_both_say_what_became_of_a_message(
    activity: Callable[..., list[dict[str, Any]]],
    logs: Callable[..., list[dict[str, Any]]],
    send_mail: Send,
    mail: Mail,
    until: Until,
    address: str,
    logged: str,
    active: str,
) -> None:
    send_mail(mail(address))
    until(lambda: [one["status"] for one in logs(f"to_email='{address}'")] == [logged])
    assert [one["status"] for one in logs(f"status IN ('{logged}')")] == [logged]
    assert [one["status"] for one in activity(f"status='{active}'")] == [active]


def test_a_canceled_batch_shows_as_dropped_in_the_logs(
    logs: Callable[..., list[dict[str, Any]]], ask: Ask, send_mail: Send, mail: Mail, until: Until
) -> None:
    batch = ask("POST", "/v3/mail/batch").json()["batch_id"]
    ask("POST", "/v3/user/scheduled_sends", json={"batch_id": batch, "status": "cancel"}).raise_for_status()
    send_mail(mail(batch_id=batch, send_at=int(time.time()) + 3600))
    (found,) = until(lambda: logs("status IN ('dropped')"))
    shown = ask("GET", f"/v3/logs/{found['sg_message_id']}").json()
    assert [one["event"] for one in shown["events"]] == ["received", "processed", "cancel_drop"]


@pytest.mark.parametrize("lag", ["activity_lag_seconds", "logs_lag_seconds"])
def test_a_look_up_is_late_by_its_lag(
    sandbox: httpx.Client,
    activity: Callable[..., list[dict[str, Any]]],
    logs: Callable[..., list[dict[str, Any]]],
    ask: Ask,
    send_mail: Send,
    mail: Mail,
    lag: str,
) -> None:
    """Why silence proves nothing before the settle time is over."""
    send_mail(mail())
    (seen,) = activity("")
    sandbox.put("/sandbox/settings", json={lag: 10**9}).raise_for_status()
    assert (len(activity("")), len(logs(""))) == ((0, 1) if lag.startswith("activity") else (1, 0))
    part = "messages" if lag.startswith("activity") else "logs"
    assert ask("GET", f"/v3/{part}/{seen['msg_id']}").status_code == 404


def test_logs_have_at_most_a_thousand_and_no_second_page(
    logs: Callable[..., list[dict[str, Any]]], send_mail: Send, mail: Mail
) -> None:
    for part in range(2):
        send_mail(mail(*[f"p{part}-{number}@m.example" for number in range(600)]))
    assert (len(logs("", limit=1000)), len(logs(""))) == (1000, 10)


@pytest.mark.parametrize("path", ["/v3/messages", "/v3/messages/x", "/v3/logs/x", "/v3/user/scheduled_sends"])
def test_every_look_up_wants_the_key(sandbox: httpx.Client, path: str) -> None:
    assert sandbox.get(path).status_code == 401
