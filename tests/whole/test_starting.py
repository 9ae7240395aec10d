"""What `up` needs before it starts, and what starts by itself once it runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.whole.installation import COMMAND, Installation, free_ports, until

PORTS = ("BULK_SENDER_PREFECT_PORT", "BULK_SENDER_WEB_PORT", "BULK_SENDER_SANDBOX_PORT")
SCHEDULE = """
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import CronSchedule

with get_client(sync_client=True) as client:
    flow = client.read_flow_by_name("send-batch")
    every_new_year = DeploymentScheduleCreate(schedule=CronSchedule(cron="0 3 1 1 *", timezone="Europe/Berlin"))
    print(client.create_deployment(flow.id, name="yearly", schedules=[every_new_year], work_pool_name="bulk-sender"))
"""


@pytest.mark.whole
@pytest.mark.parametrize("variable", PORTS)
def test_a_taken_port_is_one_sentence_with_its_variable(variable: str, tmp_path: Path) -> None:
    ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [COMMAND, "up"],
            env={**os.environ, "BULK_SENDER_HOME": str(tmp_path / "home"), **ports, variable: port},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert port in ended.stderr
    assert variable in ended.stderr


@pytest.mark.whole
def test_a_schedule_makes_runs_by_itself(installation: Installation) -> None:
    """With the wrong version of SQLAlchemy the server starts, and silently never schedules anything."""
    made = subprocess.run(
        [sys.executable, "-c", SCHEDULE],
        env={
            **installation.environment,
            "PREFECT_API_URL": f"{installation.prefect}/api",
            "PREFECT_HOME": str(installation.home / "prefect"),
            "PREFECT_LOGGING_LEVEL": "ERROR",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    deployment = made.stdout.strip()
    try:
        only = {"deployments": {"id": {"any_": [deployment]}}}
        runs = until(lambda: installation.all_of("flow_runs", **only), what="a scheduled run", seconds=90)
        assert {run["state"]["name"] for run in runs} == {"Scheduled"}
    finally:
        installation.http.delete(f"{installation.prefect}/api/deployments/{deployment}").raise_for_status()


@pytest.mark.whole
def test_prefect_itself_can_deploy_what_prefect_yaml_says(installation: Installation) -> None:
    """`up` deploys by itself; people who know Prefect do it as they always do."""
    deployed = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        env={
            **installation.environment,
            "PREFECT_API_URL": f"{installation.prefect}/api",
            "PREFECT_HOME": str(installation.home / "prefect"),
        },
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert deployed.returncode == 0, deployed.stderr
    assert "send-batch" in deployed.stdout
