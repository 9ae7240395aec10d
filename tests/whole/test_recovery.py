"""Processes that are killed, and a machine that is switched off: what waits goes on waiting, and is sent once."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.whole.installation import Installation, until
from tests.whole.people import people, write_csv

pytestmark = [pytest.mark.whole, pytest.mark.timeout(240)]


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
    until(lambda: is_ready(installation), what="server and worker", seconds=60)
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
