"""Routes: each reads the request, calls one named function, renders one template."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Request, Response
from fastapi import Path as InPath
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from starlette.background import BackgroundTask
from starlette.middleware.base import RequestResponseEndpoint

from console.landing import prefilled
from console.webhooks import Webhooks
from deployments.results import result_name, write_file
from deployments.surroundings import Surroundings
from domain.errors import BulkSenderError, NotFound
from domain.signing import RESULTS, may_fetch_result
from models import batches

_HERE = Path(__file__).parent
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}
Signature = Annotated[str, InPath(max_length=64)]
Token = Annotated[str, InPath(max_length=200)]


def make_app(around: Surroundings) -> FastAPI:
    """The web app over one database and storage."""
    app = FastAPI(title="Bulk Sender", docs_url=None, redoc_url=None, openapi_url=None)
    pages = Jinja2Templates(directory=_HERE / "templates")
    Webhooks(around).add_to(app)
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")

    @app.middleware("http")
    async def _guard(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        for name, value in _HEADERS.items():
            response.headers[name] = value
        return response

    @app.exception_handler(BulkSenderError)
    async def _refused(request: Request, refusal: BulkSenderError) -> HTMLResponse:
        status = 404 if isinstance(refusal, NotFound) else 409
        return pages.TemplateResponse(request, "refused.html", {"message": str(refusal)}, status_code=status)

    @app.get("/health")
    def _health() -> JSONResponse:
        with around.database.read() as session:
            batches.in_phases(session, [])
        return JSONResponse({"status": "ok"})

    @app.get("/")
    def _home(request: Request) -> HTMLResponse:
        settings = around.settings
        return pages.TemplateResponse(
            request,
            "home.html",
            {
                "prefect": settings.prefect_url.removesuffix("/api"),
                "sandbox": settings.sandbox_url if settings.needs_sandbox else None,
                "email_is_real": settings.email_is_real,
                "sms_is_real": settings.sms_is_real,
            },
        )

    @app.get("/l/{token}")
    def _landing(request: Request, token: Token) -> HTMLResponse:
        return pages.TemplateResponse(request, "landing.html", {"form": prefilled(around, token)})

    @app.get(RESULTS + "{batch_id}/{signature}")
    def _result(batch_id: int, signature: Signature) -> FileResponse:
        if not may_fetch_result(around.settings.secret, batch_id=batch_id, signature=signature):
            raise NotFound("This address is not valid.")
        with around.database.read() as session:
            name = result_name(batches.by_id(session, batch_id))
        folder = tempfile.TemporaryDirectory()
        path = Path(folder.name) / f"result{Path(name).suffix}"
        write_file(around, batch_id, path)
        return FileResponse(path, filename=name, background=BackgroundTask(folder.cleanup))

    return app
