"""An OpenID Connect provider of a few lines on a real socket: it signs real ID tokens, and lies in them when it is told to."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

CLIENT_ID, CLIENT_SECRET = "bulk-sender", "provider-and-we-know-it-0123456789"


@lru_cache
def new_key(kid: str, number: int = 1) -> RSAKey:
    """A key to sign with; another one for another number. Made once: that takes seconds."""
    _ = number
    return RSAKey.generate_key(2048, parameters={"kid": kid, "use": "sig", "alg": "RS256"})


@dataclass
class Provider:
    """What it says of people, and where.

    Attributes:
        email: of whoever signs in; everybody is this person.
        verified: whether it vouches for the email.
        lies: claims that take the place of the true ones; None leaves one out.
        key: what it signs with.
        published: the keys that it shows; those that it signs with if none.
        signs_with_our_secret: it uses HS256.
        secret_in_body: it wants the client's secret in the form and not in the header.
        requests: the parameters of every sign-in that was begun.
    """

    url: str = ""
    email: str = "approver@acme.example"
    verified: object = True
    lies: dict[str, object] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: new_key("one"))
    published: RSAKey | None = None
    signs_with_our_secret: bool = False
    secret_in_body: bool = False
    name: str | None = None
    requests: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def metadata(self) -> dict[str, object]:
        """What it says of itself."""
        return {
            "issuer": self.name or self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            "token_endpoint_auth_methods_supported": [
                "client_secret_post" if self.secret_in_body else "client_secret_basic"
            ],
        }

    def keys(self) -> dict[str, object]:
        """What its signatures are verified with."""
        return {"keys": [(self.published or self.key).as_dict(private=False)]}

    def authorize(self, query: dict[str, str]) -> str:
        """Sign the person in; gives where to send the browser."""
        self.requests.append(query)
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, object]]:
        """Change a code into tokens, once, for whoever began with it."""
        given = authorization.removeprefix("Basic ")
        basic = base64.b64decode(given).decode() if given else ""
        in_body = f"{form.get('client_id', '')}:{form.get('client_secret', '')}"
        asked = self.codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (
            (in_body if self.secret_in_body else basic) != f"{CLIENT_ID}:{CLIENT_SECRET}"
            or asked is None
            or asked["code_challenge_method"] != "S256"
            or asked["code_challenge"] != challenge.decode().rstrip("=")
            or asked["redirect_uri"] != form.get("redirect_uri")
        ):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url,
            "sub": "person-1",
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "email": self.email,
            "email_verified": self.verified,
            **self.lies,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.signs_with_our_secret:
            signed = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(CLIENT_SECRET))
        else:
            signed = jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)
        return 200, {"access_token": "opaque", "token_type": "Bearer", "expires_in": 300, "id_token": signed}


@contextmanager
def serving() -> Iterator[Provider]:
    """A provider on a free port for as long as the block lasts."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            match parts.path:
                case "/.well-known/openid-configuration":
                    self._say(200, provider.metadata())
                case "/keys":
                    self._say(200, provider.keys())
                case "/authorize":
                    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                    self.send_response(302)
                    self.send_header("Location", provider.authorize(query))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                case _:
                    self._say(404, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._say(*provider.token(form, self.headers.get("Authorization", "")))

        def _say(self, status: int, content: object) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
