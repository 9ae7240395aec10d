"""All routes of the sandbox together, and how a path that does not exist is answered."""

from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from sandbox.account_api import AccountApi
from sandbox.activity_api import ActivityApi
from sandbox.batches_api import BatchesApi
from sandbox.control import Control, json_answer
from sandbox.logs_api import LogsApi
from sandbox.pages import Pages
from sandbox.sendgrid import Refusal, errors
from sandbox.sendgrid_api import SendGridApi
from sandbox.state import Sandbox
from sandbox.suppression_api import SuppressionApi
from sandbox.twilio import refuse
from sandbox.twilio_api import TwilioApi
from sandbox.wire import whole


def create_app(sandbox: Sandbox) -> Starlette:
    """The application that plays both providers on one state."""
    pages = Pages(sandbox)
    # Routes are tried one after the other: what sends comes first.
    routes = [
        *SendGridApi(sandbox).routes(),
        *TwilioApi(sandbox).routes(),
        *BatchesApi(sandbox).routes(),
        *ActivityApi(sandbox).routes(),
        *LogsApi(sandbox).routes(),
        *SuppressionApi(sandbox).routes(),
        *AccountApi(sandbox).routes(),
        *Control(sandbox).routes(),
        *pages.routes(),
    ]

    async def refused(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.NOT_FOUND
        return _refused(pages, request.url.path, status)

    async def gone(_request: Request, _error: Exception) -> Response:
        return Response(status_code=HTTPStatus.BAD_REQUEST)

    return Starlette(routes=routes, exception_handlers={HTTPException: refused, ClientDisconnect: gone})


def _refused(pages: Pages, path: str, status: int) -> Response:
    if path.startswith("/v3/"):
        message = "POST method allowed only" if status == HTTPStatus.METHOD_NOT_ALLOWED else "not found"
        return whole(errors(status, Refusal(message)))
    if path.startswith("/2010-04-01/"):
        code = 20004 if status == HTTPStatus.METHOD_NOT_ALLOWED else 20404
        message = (
            "Method not allowed"
            if status == HTTPStatus.METHOD_NOT_ALLOWED
            else f"The requested resource {path} was not found"
        )
        return whole(refuse(code, message, status=status))
    if path.startswith("/sandbox/"):
        return json_answer({"error": HTTPStatus(status).phrase}, status)
    return pages.not_found()
