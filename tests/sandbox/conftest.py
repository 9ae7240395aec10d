"""The real sandbox process, started once, and clients that talk HTTP to it."""

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
import sendgrid
import twilio.rest

ROOT = Path(__file__).parents[2]
ACCOUNT_SID = "AC" + "0" * 32
DEADLINE_SECONDS = 20.0

Start = Callable[..., tuple["subprocess.Popen[str]", str]]
Mail = Callable[..., dict[str, Any]]


def _start(home: Path, *options: str) -> tuple["subprocess.Popen[str]", str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--port", "0", "--home", str(home), *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    too_late = threading.Timer(DEADLINE_SECONDS, process.kill)
    too_late.start()
    assert process.stdout is not None
    line = process.stdout.readline()
    too_late.cancel()
    assert line.startswith("sandbox listening on http://127.0.0.1:"), line
    assert line.endswith(" (nothing is really sent)\n")
    return process, line.split()[3]


def _end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.communicate(timeout=DEADLINE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a sandbox of one's own; what still runs at the end of the test is ended."""
    with contextlib.ExitStack() as stack:

        def start_one(home: Path, *options: str) -> tuple["subprocess.Popen[str]", str]:
            process, url = _start(home, *options)
            stack.callback(_end, process)
            return process, url

        yield start_one


@pytest.fixture(scope="session")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a sandbox that all tests share."""
    process, url = _start(tmp_path_factory.mktemp("sandbox"))
    yield url
    _end(process)


@pytest.fixture(scope="session")
def client(sandbox_url: str) -> Iterator[httpx.Client]:
    """One HTTP client for all tests: making one takes longer than a test."""
    with httpx.Client(base_url=sandbox_url, timeout=10, trust_env=False) as client:
        yield client


@pytest.fixture
def sandbox(client: httpx.Client) -> httpx.Client:
    """The shared sandbox, emptied and without faults."""
    for kept in ("webhooks", "messages", "faults", "fates", "batches", "suppressions", "settings"):
        client.delete(f"/sandbox/{kept}").raise_for_status()
    client.put("/sandbox/settings", json={"delivery_seconds": None}).raise_for_status()
    return client


@pytest.fixture
def ask(sandbox: httpx.Client) -> Callable[..., httpx.Response]:
    """Call any path of SendGrid with the right key."""

    def call(method: str, path: str, **options: Any) -> httpx.Response:
        return sandbox.request(method, path, headers={"Authorization": "Bearer SG.sandbox"}, **options)

    return call


@pytest.fixture
def send_mail(sandbox: httpx.Client) -> Callable[..., httpx.Response]:
    """POST a body to mail/send with the right key."""

    def send(body: object, **options: Any) -> httpx.Response:
        headers = {"Authorization": "Bearer SG.sandbox"}
        return sandbox.post("/v3/mail/send", json=body, headers=headers, **options)

    return send


@pytest.fixture
def send_sms(sandbox: httpx.Client) -> Callable[..., httpx.Response]:
    """POST a form to Messages with the right credentials; a field of None is left out."""
    usual = {"To": "+447700900001", "From": "+15005550006", "Body": "Go https://go.example/abc"}

    def send(fields: dict[str, str | None] | None = None, **options: Any) -> httpx.Response:
        form = {name: value for name, value in {**usual, **(fields or {})}.items() if value is not None}
        path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
        return sandbox.post(path, data=form, auth=(ACCOUNT_SID, "sandbox"), **options)

    return send


@dataclass(frozen=True)
class Post:
    """One POST that the listener was sent."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Listener:
    """A real HTTP server that keeps what is posted to it; `statuses` are its next answers, then 204."""

    def __init__(self) -> None:
        self.posts: queue.Queue[Post] = queue.Queue()
        self.statuses: list[int] = []
        kept = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(kept.statuses.pop(0) if kept.statuses else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()
                kept.posts.put(Post(self.path, dict(self.headers), body))

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def next(self) -> Post:
        """The next POST; waits for it."""
        return self.posts.get(timeout=DEADLINE_SECONDS)

    def events(self, number: int) -> list[dict[str, Any]]:
        """So many of SendGrid's next events, in the order they came."""
        found: list[dict[str, Any]] = []
        while len(found) < number:
            found += json.loads(self.next().body)
        assert len(found) == number
        return found

    def forms(self, number: int) -> list[dict[str, str]]:
        """So many of Twilio's next callbacks, in the order they came."""
        return [dict(parse_qsl(self.next().body.decode())) for _ in range(number)]


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Someone who listens to webhooks."""
    listening = Listener()
    thread = threading.Thread(target=listening.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield listening
    listening.server.shutdown()
    thread.join()
    listening.server.server_close()


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], Any]:
    """Ask again and again until the answer is true; the answer."""

    def ask(question: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not (found := question()):
            assert time.monotonic() < deadline
        return found

    return ask


@pytest.fixture
def mail() -> Mail:
    """Make a mail/send body for some addresses; named properties replace the usual ones, None removes one."""

    def make(*addresses: str, **properties: object) -> dict[str, Any]:
        people = addresses or ("ana@mail.example",)
        body: dict[str, object] = {
            "personalizations": [{"to": [{"email": address}]} for address in people],
            "from": {"email": "renewals@acme.example", "name": "Acme"},
            "subject": "Your renewal",
            "content": [{"type": "text/plain", "value": "Please review it."}],
        }
        return {name: value for name, value in {**body, **properties}.items() if value is not None}

    return make


@pytest.fixture
def sendgrid_client(sandbox_url: str) -> sendgrid.SendGridAPIClient:
    """The provider's own client, pointed at the sandbox."""
    client = sendgrid.SendGridAPIClient("SG.sandbox", host=sandbox_url)
    client.client.timeout = 10
    return client


@pytest.fixture
def twilio_client(sandbox_url: str) -> twilio.rest.Client:
    """The provider's own client, pointed at the sandbox."""
    client = twilio.rest.Client(ACCOUNT_SID, "sandbox")
    client.api.base_url = sandbox_url
    return client
