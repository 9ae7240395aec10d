"""Starting the run of a batch from inside another run."""

from __future__ import annotations

import uuid

from prefect.client.orchestration import get_client

from tasks.recovery import DEPLOYMENT


def start_run(batch_id: int, name: str, tags: list[str]) -> str:
    """Start the run of a batch; gives the run's id. Raises where Prefect does not take it."""
    with get_client(sync_client=True) as client:
        run = client.create_flow_run_from_deployment(
            client.read_deployment_by_name(DEPLOYMENT).id,
            name=name,
            parameters={"batch_id": batch_id},
            tags=tags,
            idempotency_key=uuid.uuid4().hex,  # a repeated call starts no second run
        )
    return str(run.id)
