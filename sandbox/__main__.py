"""`python -m sandbox`: play SendGrid and Twilio on this machine; nothing is really sent."""

import argparse
import asyncio
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from sandbox.hooks import is_url
from sandbox.records import Provider
from sandbox.server import Start, bind, open_store, serve
from sandbox.settings import SettingRefused, Settings, settings_from_json
from sandbox.state import Credentials


def arguments() -> argparse.ArgumentParser:
    """The options of the command."""
    default = Credentials()
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=4800, help="port; 0 picks a free one (default: %(default)s)")
    parser.add_argument("--home", type=Path, required=True, help="folder of sandbox.db, made if it does not exist")
    parser.add_argument("--api-key", default=default.api_key, help="SendGrid API key to expect (default: %(default)s)")
    parser.add_argument("--account-sid", default=default.account_sid, help="Twilio account (default: %(default)s)")
    parser.add_argument("--auth-token", default=default.auth_token, help="Twilio token (default: %(default)s)")
    parser.add_argument("--public-url", help="address that people and clients reach it by, if it is another")
    parser.add_argument("--seed", type=int, help="which requests a fault of a fraction meets (default: 1)")
    parser.add_argument("--time-scale", type=_time_scale, help="provider's seconds in a real second (default: 1)")
    parser.add_argument(
        "--sendgrid-webhook-url", type=_url, help="where SendGrid's events are posted (default: nowhere)"
    )
    parser.add_argument(
        "--twilio-status-url", type=_url, help="status callback of messages that name none (default: nowhere)"
    )
    return parser


def _time_scale(text: str) -> float:
    scale = float(text)
    try:
        return settings_from_json({"time_scale": scale}, Settings()).time_scale
    except SettingRefused as refused:
        raise argparse.ArgumentTypeError(str(refused)) from refused


def _url(text: str) -> str:
    if not is_url(text):
        msg = f"{text!r} is no address such as http://127.0.0.1:8000/webhooks"
        raise argparse.ArgumentTypeError(msg)
    return text


def main(argv: Sequence[str] | None = None) -> int:
    """Run until stopped; the exit code."""
    given = arguments().parse_args(argv)
    credentials = Credentials(given.api_key, given.account_sid, given.auth_token)
    urls: dict[Provider, str | None] = {"sendgrid": given.sendgrid_webhook_url, "twilio": given.twilio_status_url}
    start = Start(
        seed=given.seed,
        time_scale=given.time_scale,
        urls={provider: url for provider, url in urls.items() if url is not None},
    )
    try:
        listener = bind(given.host, given.port)
    except (OSError, OverflowError) as error:
        return _fail(
            f"cannot listen on {given.host} port {given.port} ({error}). Choose another with --port, or 0 for any."
        )
    with closing(listener):
        try:
            store = open_store(given.home)
        except (OSError, sqlite3.Error) as error:
            return _fail(
                f"cannot write to the folder {given.home} ({error}). Name one that can be written with --home."
            )
        with closing(store):
            asyncio.run(serve(listener, store, credentials=credentials, public_url=given.public_url, start=start))
    return 0


def _fail(sentence: str) -> int:
    sys.stderr.write(f"sandbox {sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
