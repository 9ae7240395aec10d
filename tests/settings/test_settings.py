"""Settings: what is left out is safe, what is half given is refused by name."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError

from domain.errors import SettingsProblem
from settings import PREFIX, Settings, load
from tests.receipts import Signer

SECRET = "x" * 32
SENDGRID = {"SENDGRID_API_KEY": "SG.key"}
TWILIO = {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "token"}
PUBLIC = {"PUBLIC_URL": "https://go.acme.example"}


def given(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(PREFIX + name, value)
    return load()


def test_without_any_variable_everything_goes_to_the_sandbox() -> None:
    settings = load()

    assert (settings.email_is_real, settings.sms_is_real, settings.needs_sandbox) == (False, False, True)
    assert settings.home == Path(".bulk-sender")
    assert settings.database == f"sqlite:///{Path.cwd() / '.bulk-sender' / 'bulk-sender.db'}"
    assert settings.storage == str(Path.cwd() / ".bulk-sender" / "files")
    assert settings.links_base == "http://127.0.0.1:4280"
    assert settings.prefect_url == "http://127.0.0.1:4200/api"
    assert settings.sandbox_url == "http://127.0.0.1:4290"


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"TWILIO_ACCOUNT_SID": "AC1"}, "TWILIO_AUTH_TOKEN is missing"),
        ({"TWILIO_AUTH_TOKEN": "t"}, "TWILIO_ACCOUNT_SID is missing"),
        ({"SENDGRID_HOST": "https://mail.example"}, "SENDGRID_API_KEY is missing"),
        ({"TWILIO_HOST": "https://sms.example"}, "TWILIO_ACCOUNT_SID is missing"),
        ({**SENDGRID, "TWILIO_AUTH_TOKEN": "t"}, "TWILIO_ACCOUNT_SID is missing"),
    ],
)
def test_half_a_set_of_credentials_is_refused_and_the_rest_is_named(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], named: str
) -> None:
    with pytest.raises(SettingsProblem, match=f"BULK_SENDER_{named}"):
        given(monkeypatch, {**variables, **PUBLIC})


@pytest.mark.parametrize(
    ("variables", "email", "sms"),
    [(SENDGRID, True, False), (TWILIO, False, True), (SENDGRID | TWILIO, True, True)],
)
def test_each_channel_is_real_with_its_own_credentials(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], *, email: bool, sms: bool
) -> None:
    settings = given(monkeypatch, {**variables, **PUBLIC})

    assert (settings.email_is_real, settings.sms_is_real) == (email, sms)
    assert settings.needs_sandbox == (not (email and sms))


@pytest.mark.parametrize(
    "variables",
    [
        SENDGRID,
        TWILIO,
        SENDGRID | {"SENDGRID_HOST": "https://mail.example"},
        TWILIO | {"TWILIO_HOST": "http://10.0.0.1"},
    ],
)
def test_real_people_need_a_public_address_for_their_links(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    with pytest.raises(SettingsProblem, match="BULK_SENDER_PUBLIC_URL is missing"):
        given(monkeypatch, variables)


@pytest.mark.parametrize("host", ["http://127.0.0.1:4290", "http://localhost:9", "http://[::1]:9"])
def test_a_provider_on_this_machine_reaches_nobody_and_needs_no_public_address(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    settings = given(monkeypatch, SENDGRID | TWILIO | {"SENDGRID_HOST": host, "TWILIO_HOST": host})

    assert settings.links_base == "http://127.0.0.1:4280"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUBLIC_URL", "go.acme.example"),
        ("PUBLIC_URL", "ftp://go.acme.example"),
        ("PUBLIC_URL", "https://"),
        ("SENDGRID_HOST", "mail.example"),
        ("TWILIO_HOST", "sms.example"),
        ("PREFECT_API_URL", "prefect:4200/api"),
        ("SECRET_KEY", "x" * 31),
        ("WEB_PORT", "0"),
        ("WEB_PORT", "65536"),
        ("WEB_PORT", "many"),
        ("PREFECT_PORT", "0"),
        ("SANDBOX_PORT", "-1"),
        ("EMAIL_CONNECTIONS", "0"),
        ("EMAIL_CONNECTIONS", "65"),
        ("SMS_CONNECTIONS", "501"),
        ("EMAIL_REQUESTS_PER_SECOND", "0"),
        ("SMS_PER_SECOND", "0"),
        ("REQUEST_TIMEOUT_SECONDS", "0.5"),
        ("REQUEST_TIMEOUT_SECONDS", "301"),
        ("UPLOAD_MEGABYTES", "0"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(SettingsProblem, match=f"BULK_SENDER_{name} is"):
        given(monkeypatch, SENDGRID | TWILIO | PUBLIC | {name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", SECRET),
        ("WEB_PORT", "1"),
        ("WEB_PORT", "65535"),
        ("EMAIL_CONNECTIONS", "64"),
        ("SMS_CONNECTIONS", "500"),
        ("REQUEST_TIMEOUT_SECONDS", "1"),
        ("REQUEST_TIMEOUT_SECONDS", "300"),
    ],
)
def test_a_value_at_its_limit_is_taken(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    given(monkeypatch, {name: value})


def test_a_secret_is_in_no_refusal_and_no_print(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsProblem) as refusal:
        given(monkeypatch, {"SECRET_KEY": "short secret"})
    monkeypatch.setenv("BULK_SENDER_SECRET_KEY", "a secret that is long enough for it")
    settings = given(monkeypatch, SENDGRID | TWILIO | PUBLIC)

    assert "short secret" not in str(refusal.value)
    for secret in ("long enough", "SG.key", "'token'"):
        assert secret not in repr(settings)


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(monkeypatch, {"SENDGRID_API_KEY": "", "WEB_PORT": "", "TWILIO_AUTH_TOKEN": ""})

    assert (settings.email_is_real, settings.web_port) == (False, 4280)


def test_a_file_beside_the_program_gives_what_the_environment_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("BULK_SENDER_WEB_PORT=5001\nBULK_SENDER_PREFECT_PORT=5002\nOTHER=1\n")

    settings = given(monkeypatch, {"WEB_PORT": "5003"})

    assert (settings.web_port, settings.prefect_port) == (5003, 5002)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://u:p@h/n", "postgresql+psycopg://u:p@h/n"),
        ("postgresql://u:p@h/n", "postgresql+psycopg://u:p@h/n"),
        ("postgresql+psycopg://u@h/n", "postgresql+psycopg://u@h/n"),
        ("sqlite:////data/ledger.db", "sqlite:////data/ledger.db"),
    ],
)
def test_a_database_can_be_named_as_everybody_names_it(
    monkeypatch: pytest.MonkeyPatch, url: str, expected: str
) -> None:
    assert given(monkeypatch, {"DATABASE_URL": url}).database == expected


@pytest.mark.parametrize("url", ["https://go.acme.example", "https://go.acme.example/", "https://go.acme.example//"])
def test_links_begin_with_the_public_address_without_its_last_slash(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert given(monkeypatch, {"PUBLIC_URL": url}).links_base == "https://go.acme.example"


def test_settings_cannot_be_changed_after_they_were_read() -> None:
    with pytest.raises(ValidationError):
        load().web_port = 1


def test_a_process_that_is_given_these_settings_sees_the_same_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also where it is started in another folder."""
    settings = given(monkeypatch, SENDGRID | TWILIO | PUBLIC | {"SECRET_KEY": SECRET, "SMS_CONNECTIONS": "7"})
    variables = settings.as_environment()
    for name in variables:
        monkeypatch.delenv(name, raising=False)
    home = settings.home.resolve()
    monkeypatch.chdir(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    again = load()

    assert again == settings.model_copy(update={"home": home})
    assert again.secret == settings.secret


def test_values_that_are_handed_over_take_the_place_of_the_environment_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULK_SENDER_SENDGRID_API_KEY", "SG.key")

    assert load(sendgrid_api_key=None, web_port=5005).web_port == 5005
    assert not load(sendgrid_api_key=None).email_is_real


# The secret


def test_the_secret_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    secret = load(home=home).secret

    assert len(secret) == 64
    assert stat.S_IMODE((home / "secret.key").stat().st_mode) == 0o600
    assert load(home=home).secret == secret


def test_every_installation_has_its_own_secret(tmp_path: Path) -> None:
    assert load(home=tmp_path / "a").secret != load(home=tmp_path / "b").secret


def test_a_secret_that_is_set_is_taken_and_none_is_kept(tmp_path: Path) -> None:
    assert load(home=tmp_path, secret_key=SECRET).secret == SECRET.encode()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_key_file_is_no_secret(tmp_path: Path) -> None:
    """It is what a full disk leaves, and what a second process sees while the first is writing: links from nothing."""
    (tmp_path / "secret.key").touch()

    try:
        secret = load(home=tmp_path).secret
    except SettingsProblem:
        return
    assert len(secret) == 64


def test_several_at_first_start_get_the_same_secret(tmp_path: Path) -> None:
    all_settings = [load(home=tmp_path) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        secrets = set(threads.map(lambda settings: settings.secret, all_settings))

    assert secrets == {load(home=tmp_path).secret}


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SettingsProblem, match=r"secret\.key cannot be written"):
        _ = load(home=tmp_path / "file" / "home").secret


def test_a_home_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SettingsProblem, match="cannot be"):
        _ = load(home=tmp_path / "file").secret


def test_a_key_for_receipts_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsProblem, match="BULK_SENDER_SENDGRID_WEBHOOK_PUBLIC_KEY is no public key"):
        given(monkeypatch, {"SENDGRID_WEBHOOK_PUBLIC_KEY": "MFkw"})


def test_a_key_for_receipts_is_taken_as_sendgrid_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    key = Signer().public

    assert given(monkeypatch, {"SENDGRID_WEBHOOK_PUBLIC_KEY": key}).sendgrid_webhook_public_key == key


def test_a_host_where_twilio_posts_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twilio answers 21609 to every message, which would halt the batch."""
    with pytest.raises(SettingsProblem, match="PUBLIC_URL has a _ in its host"):
        given(monkeypatch, {**TWILIO, "PUBLIC_URL": "https://go_to.acme.example"})
