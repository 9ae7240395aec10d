"""Whatever is sent to the API is answered as its document says, and never by a fault: thousands of made-up calls."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from console.api import door
from console.api.app import make_api
from domain.rights import Role
from domain.states import Phase
from files.storage import Storage
from models.database import Database
from settings import load
from tasks.surroundings import Surroundings
from tests import factories
from tests.console.programs import Api, serving_api

EXAMPLES = int(os.environ.get("API_FUZZ_EXAMPLES", "0"))
"""Of each operation, by chance; `make api-fuzz` takes many. Without it a few, always the same."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def api(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """With a batch of each kind, so that what is made up meets some."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(door, "AT_ONCE", 1_000_000)
        patch.setattr(door, "WRONG_AT_ONCE", 1_000_000)
        yield from _served(_sqlite_template, tmp_path_factory.mktemp("fuzz") / "home")


def _served(template: Path, home: Path) -> Iterator[Api]:
    with serving_api(template, home) as served:
        factories.deploy(served.around.database, factories.motor())
        for phase in Phase:
            factories.batch_in(served.around.database, phase)
        for _ in range(3):
            served.checked()
        yield served


@pytest.fixture(scope="module")
def key(api: Api) -> str:
    return api.key(Role.ADMIN)


def document() -> dict[str, Any]:
    """The document, which is the same over every database."""
    with tempfile.TemporaryDirectory() as home:
        around = Surroundings(load(home=Path(home)), Database("sqlite://"), Storage(home))
        return make_api(around).openapi()


schema = schemathesis.openapi.from_dict(document())
schema.config.phases.coverage.unexpected_methods = {"TRACE"}


@schema.parametrize()
@hypothesis_settings(max_examples=EXAMPLES or 5, derandomize=not EXAMPLES, suppress_health_check=list(HealthCheck))
def test_every_call_is_answered_as_the_document_says(case: Case[Any], api: Api, key: str) -> None:
    answer = case.call(base_url=api.address + "/api/v1", headers={"Authorization": f"Bearer {key}"})

    assert answer.status_code != 429, "the limit is lifted here"
    case.validate_response(answer, checks=CHECKS)
