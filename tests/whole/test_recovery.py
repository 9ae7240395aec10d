"""Processes that are killed, and a machine that is switched off: what waits goes on waiting, and is sent once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.whole.installation import Installation, until
from tests.whole.people import Kind, Person, people, write_csv

pytestmark = [pytest.mark.whole, pytest.mark.timeout(600)]
SLOW = {"kind": "slow", "latency_ms": 4000}
TWELVE: list[Kind] = ["phone"] * 12
GOING_ON_SECONDS = 400.0
"""A dead sender's lease, the wait before a restart, a sweep: each takes its time, none needs anybody."""


def is_ready(installation: Installation) -> bool:
    """Whether the server answers and a worker asks it for work."""
    workers = installation.http.post(f"{installation.prefect}/api/work_pools/bulk-sender/workers/filter", json={})
    return workers.is_success and any(worker["status"] == "ONLINE" for worker in workers.json())


def test_a_killed_server_and_worker_come_back_and_the_batch_is_sent_once(
    installation: Installation, tmp_path: Path
) -> None:
    persons = people("email", "phone", "both", tag="killed", block=30)
    batch_id, _ = installation.waiting(write_csv(tmp_path / "killed.csv", persons))
    victims = [installation.child("server", "start"), installation.child("worker", "start")]
    for victim in victims:
        victim.kill()
    psutil.wait_procs(victims, timeout=10)

    until(lambda: "prefect-server had ended; starting it again" in installation.said, what="word of the server")
    until(lambda: "worker had ended; starting it again" in installation.said, what="word of the worker")
    until(lambda: is_ready(installation), what="server and worker", seconds=120)
    assert not {victim.pid for victim in victims} & {process.pid for process in installation.processes()}

    installation.approve(batch_id)
    assert installation.wait(batch_id)["counts"]["sent"] == 3
    assert {len(messages) for messages in installation.arrived(persons).values()} == {1}
    assert len(installation.arrived(persons)) == 4


def test_a_stop_and_a_new_start_change_nothing_for_a_waiting_batch(installation: Installation, tmp_path: Path) -> None:
    persons = people("email", "phone", "both", tag="restarted", block=31)
    batch_id, _ = installation.waiting(write_csv(tmp_path / "restarted.csv", persons))
    installation.stop()
    stopped = installation.run("batch", "approve", batch_id, "--by", "approver@acme.test", code=1)
    assert "does not answer" in stopped.stderr
    assert installation.show(batch_id)["status"] == "Pending Approval", "nothing is decided where nothing can be sent"

    installation.start()
    assert installation.show(batch_id)["phase"] == "waiting"
    assert installation.arrived(persons) == {}
    installation.approve(batch_id)
    assert installation.wait(batch_id)["counts"]["sent"] == 3
    assert {len(messages) for messages in installation.arrived(persons).values()} == {1}
    assert len(installation.arrived(persons)) == 4


def sending(installation: Installation, file: Path, persons: list[Person]) -> tuple[int, str]:
    """A batch in the middle of being sent: requests are with the provider, which takes its time to answer."""
    installation.set_faults(sendgrid=[SLOW], twilio=[SLOW])
    batch_id, run_id = installation.waiting(write_csv(file, persons))
    installation.approve(batch_id)
    until(lambda: installation.arrived(persons), what="first message", seconds=150)
    return batch_id, run_id


def finished(installation: Installation, batch_id: int) -> dict[str, Any]:
    """The batch once it came to its end by itself."""
    until(lambda: installation.show(batch_id)["phase"] == "finished", what="end of the batch", seconds=GOING_ON_SECONDS)
    return installation.show(batch_id)


def assert_once_each(installation: Installation, batch_id: int, persons: list[Person]) -> None:
    arrived = installation.arrived(persons)
    counts = finished(installation, batch_id)["counts"]
    assert (counts["sent"], counts["pending"], counts["in_doubt"]) == (len(persons), 0, 0)
    assert {len(messages) for messages in arrived.values()} == {1}
    assert set(arrived) == {person.phone_e164 for person in persons}


def test_a_killed_run_and_a_second_run_beside_it_write_to_nobody_twice(
    installation: Installation, tmp_path: Path
) -> None:
    """Prefect starts a crashed run again by itself, and may run one batch in two processes at once."""
    persons = people(*TWELVE, tag="twins", block=32)
    batch_id, run_id = sending(installation, tmp_path / "twins.csv", persons)
    flow_processes = installation.child("worker", "start").children(recursive=True)
    for process in flow_processes:
        process.kill()
    assert flow_processes
    installation.set_faults()
    deployment = installation.http.get(f"{installation.prefect}/api/deployments/name/send-batch/send-batch").json()
    twin = until(
        lambda: (
            installation.http.post(  # Prefect's SQLite may be too busy for it
                f"{installation.prefect}/api/deployments/{deployment['id']}/create_flow_run",
                json={
                    "parameters": {"batch_id": batch_id},
                    "tags": ["bulk-sender"],
                    "idempotency_key": f"twin-{batch_id}",
                },
            )
            .json()
            .get("id")
        ),
        what="a twin",
    )

    finished(installation, batch_id)

    for run in (run_id, twin):
        until(lambda run=run: installation.run_state(run) == "Completed", what="end of a run", seconds=120)  # type: ignore[misc]
    assert_once_each(installation, batch_id, persons)


def test_after_a_power_cut_the_batch_goes_on_by_itself(installation: Installation, tmp_path: Path) -> None:
    persons = people(*TWELVE, tag="dark", block=33)
    batch_id, _ = sending(installation, tmp_path / "dark.csv", persons)
    everything = installation.processes()
    for process in everything:
        process.kill()
    psutil.wait_procs(everything, timeout=10)

    installation.start()
    installation.set_faults()

    assert f"Batch {batch_id} goes on." in installation.said
    finished(installation, batch_id)
    assert_once_each(installation, batch_id, persons)


def test_what_makes_recovery_happen_is_set_up_once(installation: Installation) -> None:
    automations = installation.all_of("automations")
    ours = [one for one in automations if one["name"].startswith("bulk-sender: ")]
    settle = installation.http.get(f"{installation.prefect}/api/deployments/name/settle/settle").json()

    assert [one["trigger"]["posture"] for one in ours] == ["Proactive", "Proactive"], "at once would run things twice"
    assert sorted(one["trigger"]["within"] for one in ours) == [20, 90]
    assert all(one["enabled"] for one in ours)
    assert [(one["schedule"]["interval"], one["active"]) for one in settle["schedules"]] == [(60, True)]
    swept = {"deployments": {"id": {"any_": [settle["id"]]}}}
    until(
        lambda: any(run["state"]["name"] == "Completed" for run in installation.all_of("flow_runs", **swept)),
        what="a sweep",
        seconds=180,
    )
