"""Signing in at an OpenID Connect provider: the code flow with PKCE, state and nonce, and who it says that somebody is.

All three follow from one random seed that only the browser holds, so that an answer counts in the browser that asked.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from threading import Lock
from typing import Any

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.oauth2.client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from domain.errors import Forbidden, ServiceMissing
from domain.proofs import is_same, keyed
from settings import Settings

ANSWER = "/sign-in/answer"
_SIGNATURES = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)
"""What only the provider can sign with; never a secret that both have, and never nothing."""
_KEPT_SECONDS = 3600.0
_TIMEOUT_SECONDS = 10.0
_LEEWAY_SECONDS = 120
_AGAIN = "Go back to the sign-in page and begin again."


class Provider:
    """The provider of the settings; what it says of itself is read at first use and kept for an hour."""

    def __init__(self, settings: Settings) -> None:
        """Name the provider; asks it nothing yet."""
        self._secret = settings.secret
        self._issuer = (settings.oidc_issuer or "").rstrip("/")
        self._client_id = settings.oidc_client_id or ""
        self._client_secret = settings.oidc_client_secret.get_secret_value() if settings.oidc_client_secret else ""
        self._answer = settings.links_base + ANSWER
        self._lock = Lock()
        self._about: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None

    def begin(self, seed: str) -> str:
        """Where to send the browser that holds `seed`."""
        client = OAuth2Client(
            None,
            self._client_id,
            scope="openid email",
            redirect_uri=self._answer,
            code_challenge_method="S256",
        )
        address, _state = client.create_authorization_url(
            self._endpoint("authorization_endpoint"),
            state=self._of(seed, "state"),
            nonce=self._of(seed, "nonce"),
            code_verifier=self._of(seed, "verifier"),
        )
        return str(address)

    def email(self, seed: str, answer: Mapping[str, str]) -> str:
        """The verified email of the person whom the provider sent back with `answer`.

        Raises:
            Forbidden: the answer belongs to another browser, is a refusal, or proves nothing.
            ServiceMissing: the provider does not answer.
        """
        if not is_same(answer.get("state", ""), self._of(seed, "state")):
            raise Forbidden(f"That answer belongs to another sign-in. {_AGAIN}")
        if "code" not in answer:
            raise Forbidden(f"The provider did not sign you in. {_AGAIN}")
        try:
            claims = self._claims(self._token(answer["code"], seed), seed)
        except (AuthlibBaseError, JoseError, KeyError, TypeError, ValueError) as fault:
            # Neither the fault nor its text: they may quote the token.
            raise Forbidden(f"The provider's answer could not be verified ({type(fault).__name__}). {_AGAIN}") from None
        email = claims.get("email")
        if not isinstance(email, str) or claims.get("email_verified") is not True:
            raise Forbidden("The provider does not vouch for your email. Let it be verified there, then sign in again.")
        return email

    def _of(self, seed: str, part: str) -> str:
        return keyed(self._secret, "oidc", part, seed)

    def _token(self, code: str, seed: str) -> Mapping[str, Any]:
        ways = self._metadata().get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        in_body = "client_secret_basic" not in ways
        auth = httpx.Auth() if in_body else httpx.BasicAuth(self._client_id, self._client_secret)
        more = {"client_id": self._client_id, "client_secret": self._client_secret} if in_body else {}
        with _http() as http:
            client = OAuth2Client(http, self._client_id, redirect_uri=self._answer)
            try:
                found: Mapping[str, Any] = client.fetch_token(
                    self._endpoint("token_endpoint"),
                    code=code,
                    grant_type="authorization_code",
                    code_verifier=self._of(seed, "verifier"),
                    auth=auth,
                    **more,
                )
            except httpx.HTTPError as fault:
                raise self._silent() from fault
        return found

    def _claims(self, token: Mapping[str, Any], seed: str) -> Mapping[str, Any]:
        supported = self._metadata().get("id_token_signing_alg_values_supported") or ["RS256"]
        registry = JWSRegistry(algorithms=sorted(_SIGNATURES & set(supported)), strict_check_header=False)
        try:
            decoded = jwt.decode(token["id_token"], self._key_set(), registry=registry)
        except InvalidKeyIdError:  # it has taken new keys since
            decoded = jwt.decode(token["id_token"], self._key_set(fresh=True), registry=registry)
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            {
                "iss": {"essential": True, "values": [self._metadata()["issuer"]]},
                "aud": {"essential": True, "values": [self._client_id]},
            },
            {
                "nonce": self._of(seed, "nonce"),
                "client_id": self._client_id,
                "access_token": token.get("access_token"),
            },
        )
        claims.validate(leeway=_LEEWAY_SECONDS)
        return dict(claims)

    def _endpoint(self, name: str) -> str:
        address = self._metadata().get(name)
        if not isinstance(address, str):
            raise ServiceMissing(f"The provider {self._issuer} names no {name}. Correct BULK_SENDER_OIDC_ISSUER.")
        return address

    def _metadata(self) -> dict[str, Any]:
        with self._lock:
            if self._about is None or time.monotonic() - self._about[0] > _KEPT_SECONDS:
                found = self._read(f"{self._issuer}/.well-known/openid-configuration")
                if str(found.get("issuer", "")).rstrip("/") != self._issuer:
                    raise ServiceMissing(
                        f"The provider {self._issuer} calls itself otherwise. Set BULK_SENDER_OIDC_ISSUER to what it calls itself."
                    )
                self._about = time.monotonic(), found
            return self._about[1]

    def _key_set(self, *, fresh: bool = False) -> KeySet:
        address = self._endpoint("jwks_uri")
        with self._lock:
            if fresh or self._keys is None or time.monotonic() - self._keys[0] > _KEPT_SECONDS:
                self._keys = time.monotonic(), KeySet.import_key_set(self._read(address))  # type: ignore[arg-type]  # JSON as it came; what is no key set is refused there
            return self._keys[1]

    def _read(self, address: str) -> dict[str, Any]:
        try:
            with _http() as http:
                found = http.get(address).raise_for_status().json()
        except (httpx.HTTPError, json.JSONDecodeError, UnicodeDecodeError) as fault:
            raise self._silent() from fault
        if not isinstance(found, dict):
            raise self._silent()
        return found

    def _silent(self) -> ServiceMissing:
        return ServiceMissing(f"The sign-in provider {self._issuer} does not answer. Try again in a moment.")


def _http() -> httpx.Client:
    return httpx.Client(timeout=_TIMEOUT_SECONDS)
