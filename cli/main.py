"""`bulk-sender`: the commands together, and the one place where what went wrong becomes a sentence and an exit code."""

from __future__ import annotations

import sys
import traceback
from datetime import datetime
from pathlib import Path

import typer
from sqlalchemy.exc import SQLAlchemyError

from cli import batch, books, key, link, process, suppression, user
from cli.output import complain
from cli.running import demo, up
from domain.errors import BulkSenderError
from settings import load

_REFUSED, _INTERRUPTED = 1, 130

app = typer.Typer(
    help="Send a personal link to everyone on a list, by email or SMS, and know what became of each.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(demo)
app.command()(up)
app.add_typer(process.app, name="process")
for command in (books.reconciliation, books.unresolved, books.settle):
    batch.app.command()(command)
app.add_typer(batch.app, name="batch")
app.add_typer(link.app, name="link")
app.add_typer(suppression.app, name="suppression")
app.add_typer(user.app, name="user")
app.add_typer(key.app, name="key")


def main() -> None:
    """Run one command; whatever it refuses is one sentence on standard error and exit code 1, wrong usage is 2."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(line_buffering=True)  # so that a log sees each line when it is said
    try:
        app()
    except BulkSenderError as refusal:
        complain(str(refusal))
        sys.exit(_REFUSED)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except SQLAlchemyError as fault:
        complain(f"The database refused ({type(fault).__name__}). {_keep(fault)}")
        sys.exit(_REFUSED)
    except OSError as fault:
        complain(
            f"{fault.filename or 'A file'}: {fault.strerror or type(fault).__name__}. Check the path, its rights and the free space."
        )
        sys.exit(_REFUSED)
    except Exception as fault:  # noqa: BLE001  the outermost edge
        complain(f"This should not have happened ({type(fault).__name__}). {_keep(fault)}")
        sys.exit(_REFUSED)


def _keep(fault: BaseException) -> str:
    """Write a traceback where the people who run the product can find it; says where."""
    try:
        path: Path = load().home / "logs" / "command.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as log:
            # Frames and types only: the message of a foreign exception may quote a recipient.
            where = "".join(traceback.format_tb(fault.__traceback__))
            log.write(f"{datetime.now().astimezone().isoformat()} {type(fault).__name__}\n{where}\n")
    except (OSError, BulkSenderError):
        return "Nothing more could be written down."
    return f"Where it happened is written in {path}."
