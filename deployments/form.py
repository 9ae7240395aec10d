"""The form of `create-batch` in the Prefect UI: its list of processes is that of the live ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployments.names import CREATE
from deployments.prefect_api import PrefectApi
from models import processes
from tasks.surroundings import Surroundings

_FIELD = "process"


def offer_processes(around: Surroundings) -> bool:
    """Let the form offer what is live now; says whether it is deployed at all.

    Prefect keeps the form with the deployment, so whoever makes a process live calls this.

    Raises:
        ServiceMissing: Prefect's server does not answer.
    """
    with around.database.read() as session:
        live = {one.key: one.name for one in processes.newest_versions(session) if one.deployed_at is not None}
    api = PrefectApi(around.settings.prefect_url)
    found = api.form(CREATE)
    if found is None:
        return False
    deployment_id, schema = found
    wanted = offering(schema, live)
    if wanted != schema:
        api.change_form(deployment_id, wanted)
    return True


def offering(schema: dict[str, Any], live: Mapping[str, str]) -> dict[str, Any]:
    """The form's schema with these processes, name by key, to choose from; without any, it says what to do."""
    fields = schema.get("properties", {})
    field = {name: value for name, value in fields.get(_FIELD, {}).items() if name not in {"enum", "description"}}
    if live:
        field["enum"] = sorted(live)
        field["description"] = "; ".join(f"{key}: {name}" for key, name in sorted(live.items()))
    else:
        field["description"] = "No process is live yet. Deploy one: bulk-sender process deploy FILE"
    return {**schema, "properties": {**fields, _FIELD: field}}
