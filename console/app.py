"""Routes: each reads the request, calls one named function, renders one template."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI
from fastapi import Path as InPath
from fastapi.responses import FileResponse, JSONResponse
from starlette.background import BackgroundTask

from console import landing
from console.api.app import make_api
from console.api.problems import ROOT
from console.batch import routes as batch_routes
from console.deciding import routes as deciding_routes
from console.errors import Faults, add_error_pages
from console.guards import Bodies, Headers
from console.lists import routes as list_routes
from console.new_batch import routes as new_batch_routes
from console.pages import Pages, Static
from console.people import routes as people_routes
from console.recipients import routes as recipient_routes
from console.sign_in import account_routes, code_routes
from console.sign_in import routes as sign_in_routes
from console.users import routes as user_routes
from console.webhooks import Webhooks
from console.who import behind_the_door, sends_to_sign_in
from deployments.results import result_name, write_file
from deployments.surroundings import Surroundings
from domain.errors import NotFound
from domain.signing import RESULTS, may_fetch_result
from models import batches

SCREEN = (
    account_routes,
    code_routes,
    list_routes,
    new_batch_routes,
    deciding_routes,
    batch_routes,
    recipient_routes,
    people_routes,
    user_routes,
)
"""The rooms of the screen: what is behind the door, so that nobody enters who is not signed in."""
Signature = Annotated[str, InPath(max_length=64)]


def make_app(around: Surroundings) -> FastAPI:
    """The web app over one database and storage."""
    app = FastAPI(title="Bulk Sender", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    pages = Pages(around.settings)
    Webhooks(around).add_to(app)
    app.mount("/static", Static(), name="static")
    app.mount(ROOT, make_api(around))

    app.add_middleware(Faults, pages=pages)
    app.add_middleware(Bodies, settings=around.settings, pages=pages)
    app.add_middleware(Headers, settings=around.settings)
    sends_to_sign_in(app)
    add_error_pages(app, pages)
    app.include_router(sign_in_routes(around, pages))
    app.include_router(landing.routes(around, pages))
    door = behind_the_door(around)
    for room in SCREEN:
        app.include_router(room(around, pages), dependencies=door)

    @app.get("/health")
    def _health() -> JSONResponse:
        with around.database.read() as session:
            batches.in_phases(session, [])
        return JSONResponse({"status": "ok"})

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
