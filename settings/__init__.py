"""The environment, read once at the edge, as one frozen object; nothing else reads variables."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.errors import SettingsProblem
from domain.signing import public_key

PREFIX = "BULK_SENDER_"
SANDBOX_SENDGRID_KEY = "SG.sandbox"
SANDBOX_TWILIO_SID = "AC" + "0" * 32
SANDBOX_TWILIO_TOKEN = "sandbox"  # noqa: S105  the sandbox's published token, no secret
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """All that can be set, by variables with the prefix `BULK_SENDER_` or in a `.env` file."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    home: Path = Path(".bulk-sender")
    """Data folder: databases, uploaded and result files, logs."""
    database_url: str | None = None
    """Our database; default: SQLite in the data folder. `postgresql://…` for production."""
    storage_url: str | None = None
    """Where files are kept, any fsspec address; default: the data folder."""
    public_url: str | None = None
    """Base of links and webhooks as recipients reach it; default: the web port on this machine."""
    secret_key: SecretStr | None = None
    """Makes and reads links; default: made once and kept in the data folder."""
    sendgrid_api_key: SecretStr | None = None
    """Without it, email goes to the sandbox."""
    sendgrid_host: str | None = None
    """Base address of SendGrid's API; default: `https://api.sendgrid.com`."""
    sendgrid_webhook_public_key: str | None = None
    """Verifies SendGrid's signed receipts."""
    twilio_account_sid: str | None = None
    """Without it, SMS go to the sandbox."""
    twilio_auth_token: SecretStr | None = None
    """Belongs to the account."""
    twilio_host: str | None = None
    """Base address of Twilio's API; default: `https://api.twilio.com`."""
    host: str = "127.0.0.1"
    """The address on which `up` listens."""
    web_port: Port = 4280
    """Web screen and links."""
    prefect_port: Port = 4200
    """Prefect's server and UI."""
    prefect_api_url: str | None = None
    """API of a Prefect server of your own, such as `http://prefect:4200/api`; then `up` starts none."""
    sandbox_port: Port = 4290
    """The sandbox's outbox and its providers' APIs."""
    email_connections: Annotated[int, Field(ge=1, le=64)] = 4
    """Email requests that one chunk has under way at once."""
    sms_connections: Annotated[int, Field(ge=1, le=500)] = 50
    """SMS requests that one chunk has under way at once."""
    email_requests_per_second: Annotated[int, Field(ge=1)] = 50
    """Limit `bulk-sender-email` when it is first made; change it later in the Prefect UI."""
    sms_per_second: Annotated[int, Field(ge=1)] = 1000
    """Limit `bulk-sender-sms` when it is first made; change it later in the Prefect UI."""
    request_timeout_seconds: Annotated[float, Field(ge=1, le=300)] = 30.0
    """How long a provider may take to answer."""
    settle_email_seconds: Annotated[float, Field(ge=0)] = 900.0
    """How long an email request that may have been accepted can take to show up at SendGrid."""
    settle_sms_seconds: Annotated[float, Field(ge=0)] = 300.0
    """The same of an SMS at Twilio."""
    lookup_seconds: Annotated[float, Field(gt=0)] = 60.0
    """Between two look-ups of the same request."""
    unresolved_after_seconds: Annotated[float, Field(ge=0)] = 3600.0
    """After this, a doubt that no evidence settled is a person's to decide."""
    delivery_days: Annotated[int, Field(ge=1, le=365)] = 3
    """How long a provider may take to report what became of a message; then the wait is over."""
    upload_megabytes: Annotated[int, Field(ge=1)] = 250
    """Largest recipient file."""
    inbox_url: str | None = None
    """A folder or bucket, any fsspec address, with one folder a process: files dropped there become batches."""
    inbox_sender: str | None = None
    """The Sender Email of batches that come from the inbox."""
    four_eyes: bool = True
    """Whether a batch must be approved by somebody who neither created nor corrected it."""
    password_sign_in: bool = True
    """Whether people may sign in with a password; `false` leaves OpenID Connect alone."""
    oidc_issuer: str | None = None
    """OpenID Connect provider at which people sign in, such as `https://login.example.com`."""
    oidc_client_id: str | None = None
    """What the provider knows this installation by."""
    oidc_client_secret: SecretStr | None = None
    """Belongs to the client id."""
    oidc_name: str = "single sign-on"
    """What the button on the sign-in page calls the provider."""

    @property
    def database(self) -> str:
        """Our database as SQLAlchemy addresses it."""
        if self.database_url is None:
            return f"sqlite:///{self.home.resolve() / 'bulk-sender.db'}"
        url = self.database_url
        for short in ("postgresql://", "postgres://"):
            if url.startswith(short):
                return "postgresql+psycopg://" + url.removeprefix(short)
        return url

    @property
    def storage(self) -> str:
        """Base address of kept files."""
        return self.storage_url or str(self.home.resolve() / "files")

    @property
    def links_base(self) -> str:
        """What every link begins with."""
        return (self.public_url or f"http://127.0.0.1:{self.web_port}").rstrip("/")

    @property
    def is_https(self) -> bool:
        """Whether browsers reach the web app by https, so that cookies may insist on it."""
        return self.links_base.startswith("https://")

    @property
    def prefect_url(self) -> str:
        """Prefect's API: the one that is set, else the one that `up` starts."""
        return self.prefect_api_url or f"http://127.0.0.1:{self.prefect_port}/api"

    @property
    def sandbox_url(self) -> str:
        """Where the sandbox answers."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def email_is_real(self) -> bool:
        """Whether email goes to a provider and not to the sandbox."""
        return self.sendgrid_api_key is not None

    @property
    def sms_is_real(self) -> bool:
        """Whether SMS go to a provider and not to the sandbox."""
        return self.twilio_account_sid is not None

    @property
    def needs_sandbox(self) -> bool:
        """Whether any channel goes to the sandbox."""
        return not (self.email_is_real and self.sms_is_real)

    def as_environment(self) -> dict[str, str]:
        """These settings as variables, for a process that must see the same ones."""
        found = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if value is not None:
                plain = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
                found[PREFIX + name.upper()] = str(self.home.resolve()) if name == "home" else plain
        return found

    @cached_property
    def secret(self) -> bytes:
        """The secret behind the links; made at first use and kept in the data folder if none is set."""
        if self.secret_key is not None:
            return self.secret_key.get_secret_value().encode()
        path = self.home / "secret.key"
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                _write_once(path, secrets.token_urlsafe(48))
            secret = path.read_bytes().strip()
        except OSError as fault:
            raise SettingsProblem(
                f"{path} cannot be written ({fault.strerror}). Set {PREFIX}HOME to a folder that can."
            ) from fault
        if not secret:
            raise SettingsProblem(f"{path} is empty, so links could be forged. Restore it from a backup, or delete it.")
        return secret


def _write_once(path: Path, text: str) -> None:
    """Make a file that only its owner reads, whole or not at all; if another process was first, its file stays."""
    handle, part = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        with contextlib.suppress(FileExistsError):
            os.link(part, path)
    finally:
        Path(part).unlink()


def load(**instead: object) -> Settings:
    """Read and judge the environment.

    Args:
        instead: values that take the place of the environment's, None for what is to be unset.

    Raises:
        SettingsProblem: a value is not usable, or half a set of credentials is given.
    """
    try:
        settings = Settings(**instead)  # type: ignore[arg-type]  # judged by the class itself
    except ValidationError as fault:
        first = fault.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper()
        raise SettingsProblem(
            f"{name} is not usable: {first['msg']}. Correct it in the environment or in .env."
        ) from fault
    for complaint in _complaints(settings):
        raise SettingsProblem(complaint)
    return settings


def _complaints(settings: Settings) -> list[str]:
    """What would start half right, in the order in which to mend it."""
    found = []
    sets = {
        "TWILIO_ACCOUNT_SID": settings.twilio_account_sid,
        "TWILIO_AUTH_TOKEN": settings.twilio_auth_token,
        "SENDGRID_API_KEY": settings.sendgrid_api_key,
        "SENDGRID_HOST": settings.sendgrid_host,
        "TWILIO_HOST": settings.twilio_host,
        "OIDC_ISSUER": settings.oidc_issuer,
        "OIDC_CLIENT_ID": settings.oidc_client_id,
        "OIDC_CLIENT_SECRET": settings.oidc_client_secret,
    }
    for given, needed in (
        ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"),
        ("TWILIO_AUTH_TOKEN", "TWILIO_ACCOUNT_SID"),
        ("SENDGRID_HOST", "SENDGRID_API_KEY"),
        ("TWILIO_HOST", "TWILIO_ACCOUNT_SID"),
    ):
        if sets[given] and not sets[needed]:
            found.append(
                f"{PREFIX}{given} is set, but {PREFIX}{needed} is missing. Set both, or neither for the sandbox."
            )
    found += _sign_in_complaints(settings, given={name for name, value in sets.items() if value})
    for name in ("public_url", "sendgrid_host", "twilio_host", "prefect_api_url", "oidc_issuer"):
        value = getattr(settings, name)
        if value and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname):
            found.append(f"{PREFIX}{name.upper()} is {value!r}; it must begin with http:// or https://.")
    if settings.sendgrid_webhook_public_key and not _is_public_key(settings.sendgrid_webhook_public_key):
        found.append(
            f"{PREFIX}SENDGRID_WEBHOOK_PUBLIC_KEY is no public key. Copy it as SendGrid's Event Webhook settings show it."
        )
    if settings.secret_key is not None and len(settings.secret_key.get_secret_value()) < 32:  # noqa: PLR2004  256 bits as text
        found.append(f"{PREFIX}SECRET_KEY is shorter than 32 characters. Make one with: openssl rand -base64 36")
    found += _inbox_complaints(settings)
    if settings.public_url is None and _leaves_the_machine(settings):
        found.append(
            f"{PREFIX}PUBLIC_URL is missing: links sent to real people would point at this machine. Set it to the address that they can reach."
        )
    if settings.public_url and settings.sms_is_real and "_" in (urlsplit(settings.public_url).hostname or ""):
        found.append(f"{PREFIX}PUBLIC_URL has a _ in its host, where Twilio posts no receipts. Use a host without one.")
    return found


def _inbox_complaints(settings: Settings) -> list[str]:
    found = []
    if settings.inbox_url and not settings.inbox_sender:
        found.append(
            f"{PREFIX}INBOX_URL is set, but {PREFIX}INBOX_SENDER is missing. Set it to the email of whoever answers for those batches."
        )
    if settings.inbox_sender and "@" not in settings.inbox_sender.strip("@"):
        found.append(f"{PREFIX}INBOX_SENDER is {settings.inbox_sender!r}, which is no email address. Correct it.")
    return found


def _sign_in_complaints(settings: Settings, *, given: Collection[str]) -> list[str]:
    """What would let nobody sign in, or the wrong people."""
    found = []
    needed = ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET")
    present = [name for name in needed if name in given]
    missing = [PREFIX + name for name in needed if name not in given]
    if present and missing:
        found.append(
            f"{PREFIX}{present[0]} is set, but {' and '.join(missing)} is missing. Set all three, or none for passwords alone."
        )
    issuer = urlsplit(settings.oidc_issuer or "")
    if issuer.scheme == "http" and issuer.hostname not in _LOOPBACK:
        found.append(f"{PREFIX}OIDC_ISSUER is {settings.oidc_issuer!r}; it must begin with https://.")
    if not settings.password_sign_in and not present:
        found.append(
            f"{PREFIX}PASSWORD_SIGN_IN is off and {PREFIX}OIDC_ISSUER is missing, so nobody could sign in. Set one of them."
        )
    return found


def _is_public_key(text: str) -> bool:
    try:
        public_key(text)
    except ValueError:
        return False
    return True


def _leaves_the_machine(settings: Settings) -> bool:
    """Whether any message could reach a real person."""
    email = settings.email_is_real and urlsplit(settings.sendgrid_host or "https://api").hostname not in _LOOPBACK
    sms = settings.sms_is_real and urlsplit(settings.twilio_host or "https://api").hostname not in _LOOPBACK
    return email or sms
