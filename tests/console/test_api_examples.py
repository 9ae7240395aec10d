"""The examples of docs/api.md, run as they stand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from console.api.problems import KINDS
from domain.rights import Role
from domain.states import Phase, Status
from models import batches
from tasks.surroundings import Surroundings
from tasks.validate import validate
from tests import factories
from tests.console.programs import serving_api

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
MARCH = """first_name,last_name,email,phone,policy_number,renewal_date,premium,cover,newsletter
Ann,Lee,ann@mail.example,,P-1,2030-03-01,100,Comprehensive,yes
Cid,Fox,nowhere,,P-2,2030-03-02,200,Comprehensive,no
"""


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_examples_take_a_batch_from_its_file_to_its_result(_sqlite_template: Path, tmp_path: Path) -> None:  # noqa: PT019  its value is the path
    place = tmp_path / "examples"
    place.mkdir()
    (place / "march.csv").write_text(MARCH)
    with serving_api(_sqlite_template, tmp_path / "home") as api:
        factories.deploy(api.around.database, factories.motor())
        keys = {role.name: api.key(role) for role in (Role.OPERATOR, Role.APPROVER)}
        variables = {"PATH": os.environ["PATH"], "API": api.address + "/api/v1", "no_proxy": "*", **keys}
        known: dict[str, str] = {}
        for block in BLOCKS:
            script = f"set -e\n{block}\nset +e\n(set -o posix; set) | grep -E '^(ID|TAG|REVISION)='"
            told = subprocess.run(
                ["/bin/bash", "-c", script],
                cwd=place,
                env=variables | known,
                capture_output=True,
                text=True,
                check=False,
            )
            assert told.returncode in {0, 1}, (block, told.stdout, told.stderr)
            assert not told.stderr, (block, told.stdout, told.stderr)
            known |= {
                name: value.strip("'")
                for name, value in re.findall(r"^(ID|TAG|REVISION)=(.*)$", told.stdout, re.MULTILINE)
            }
            if "ID" in known:
                _check(api.around, int(known["ID"]))
        batch_id = int(known["ID"])
        found = factories.batch(api.around.database, batch_id)

    assert (found.status, found.revision, found.name) == (Status.APPROVED, 1, "March renewals")
    assert (place / "result.csv").read_text().startswith("first_name,")
    assert "cid@mail.example" in (place / "result.csv").read_text()


def _check(around: Surroundings, batch_id: int) -> None:
    """What the run of the batch does beside the API."""
    with around.database.read() as session:
        phase = batches.by_id(session, batch_id).phase
    if phase == Phase.CHECKING:
        validate(around, batch_id)


def test_the_page_explains_every_problem() -> None:
    table = re.findall(r"^\| `([a-z-]+)` \| (\d+) \| (.*) \|$", PAGE, re.MULTILINE)

    assert table == [(kind.name, str(kind.status), kind.meaning) for kind in KINDS]
