"""What Prefect's server is told of our deployments and forms, and what people may load into it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.events.schemas.automations import AutomationCore
from prefect.server.events.actions import SendNotification
from prefect.server.events.schemas.automations import AutomationCreate
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import is_valid_schema, validate

from deployments.act_on_batch import act_on_batch
from deployments.form import offer_processes, offering
from deployments.setup import PREFECT_YAML
from domain.milestones import Milestone
from flows.create_batch import create_batch
from models import processes
from tasks.surroundings import Surroundings
from tests.factories import act, deploy, process
from tests.servers import Answer, Asked, Server, serving
from tests.tasks.test_milestones import beside

EXAMPLE = Path(__file__).parents[2] / "docs" / "notify-approvers.yaml"
GIVEN = {"process": "small", "file": "/data/list.csv", "sender": "op@acme.example"}


def form_of(flow: Flow[Any, Any]) -> dict[str, Any]:
    """As Prefect makes it, whoever deploys."""
    return parameter_schema(flow).model_dump_for_openapi()


class Form:
    """Prefect's server as far as it keeps one deployment's form."""

    def __init__(self) -> None:
        self.schema: dict[str, Any] = form_of(create_batch)
        self.is_deployed = True
        self.changes = 0

    def answer(self, asked: Asked) -> Answer:
        if asked.body:
            self.changes += 1
            self.schema = json.loads(asked.body)["parameter_openapi_schema"]
            return Answer(204)
        if not self.is_deployed:
            return Answer(404)
        return Answer(200, body=json.dumps({"id": "1", "parameter_openapi_schema": self.schema}).encode())


@pytest.fixture
def form() -> Form:
    return Form()


@pytest.fixture
def prefect(form: Form) -> Iterator[Server]:
    with serving(form.answer) as server:
        yield server


def test_the_form_offers_the_processes_that_are_live(around: Surroundings, form: Form, prefect: Server) -> None:
    deploy(around.database, process(key="small", name="Small"))
    deploy(around.database, process(key="other", name="Other"))
    with around.database.write() as session:
        processes.deploy(session, process(key="later"), draft=True, now=act().now)

    assert offer_processes(beside(around, prefect.url))

    field = form.schema["properties"]["process"]
    assert (field["title"], field["enum"]) == ("Select A Process", ["other", "small"])
    assert field["description"] == "other: Other; small: Small"
    is_valid_schema(form.schema)
    assert validate(GIVEN, form.schema, raise_on_error=False) == []
    assert validate({**GIVEN, "process": "later"}, form.schema, raise_on_error=False)


def test_a_form_that_offers_them_already_is_left_alone(around: Surroundings, form: Form, prefect: Server) -> None:
    deploy(around.database, process(key="small"))

    assert offer_processes(beside(around, prefect.url))
    assert offer_processes(beside(around, prefect.url))

    assert form.changes == 1


def test_a_form_that_is_not_deployed_yet_is_no_fault(around: Surroundings, form: Form, prefect: Server) -> None:
    form.is_deployed = False

    assert not offer_processes(beside(around, prefect.url))


def test_without_any_process_the_form_says_what_to_do() -> None:
    once = offering(form_of(create_batch), {"small": "Small"})

    field = offering(once, {})["properties"]["process"]

    assert "enum" not in field
    assert "bulk-sender process deploy" in field["description"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("sender", "nobody"), ("sender", "a b@c"), ("sender", "a@b\nBcc: c@d"), ("file", ""), ("name", "n" * 201)],
)
def test_the_form_refuses_what_cannot_be_meant(name: str, value: str) -> None:
    schema = offering(form_of(create_batch), {"small": "Small"})

    assert validate({**GIVEN, name: value}, schema, raise_on_error=False)


def test_the_form_of_a_batch_has_the_words_of_the_screen() -> None:
    schema = form_of(create_batch)

    assert [field["title"] for field in schema["properties"].values()] == [
        "Select A Process", "File", "Your code", "Sender Email", "Batch Name",
    ]  # fmt: skip
    assert schema["properties"]["process"]["description"] == "A live process."


def test_the_form_of_acts_has_no_default_act() -> None:
    schema = form_of(act_on_batch)

    assert schema["properties"]["act"]["enum"] == ["Pause", "Resume", "Reject", "Archive"]
    assert set(schema["required"]) == {"batch", "act"}
    assert [field["title"] for field in schema["properties"].values()] == [
        "Batch", "What to do", "Your code", "Your email", "Comment",
    ]  # fmt: skip


def test_the_file_for_prefect_deploy_holds_every_deployment() -> None:
    entries = yaml.safe_load(PREFECT_YAML.read_text())["deployments"]

    assert {entry["name"] for entry in entries} == {
        "send-batch", "settle", "create-batch", "act-on-batch", "sweep-inbox", "housekeeping",
    }  # fmt: skip
    assert {entry["work_pool"]["name"] for entry in entries} == {"bulk-sender"}
    # Whatever runs by itself has no tag that lets a crashed run be started again: the next one does its work.
    assert all(
        ("bulk-sender" in entry["tags"]) != ("schedules" in entry) for entry in entries if "act" not in entry["name"]
    )


def test_the_example_automation_is_one_that_prefect_takes() -> None:
    [entry] = yaml.safe_load(EXAMPLE.read_text())["automations"]

    ours = AutomationCore.model_validate(entry)
    server = AutomationCreate.model_validate(ours.model_dump(mode="json", exclude_unset=True))

    [expected] = server.trigger.expect  # type: ignore[union-attr]  # of an event
    assert expected in {f"bulk-sender.batch.{milestone}" for milestone in Milestone}
    [notify] = server.actions
    assert isinstance(notify, SendNotification)
    assert "event.payload.page" in notify.body
