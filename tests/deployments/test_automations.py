"""What Prefect's server is to do by itself is kept as this release wants it, start after start."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.server.events.schemas.automations import AutomationUpdate

from deployments import setup
from deployments.setup import AUTOMATIONS

SET_UP = pytest.mark.parametrize("wanted", AUTOMATIONS, ids=lambda one: one.name)


class Server:
    """A server with some automations; takes an update only as Prefect's own schema does."""

    def __init__(self, *known: Automation) -> None:
        self.known = list(known)
        self.updates: list[AutomationUpdate] = []

    async def read_automations_by_name(self, name: str) -> list[Automation]:
        return [one for one in self.known if one.name == name]

    async def update_automation(self, _id: object, automation: AutomationCore) -> None:
        self.updates.append(AutomationUpdate.model_validate(automation.model_dump(mode="json", exclude_unset=True)))


def read_back(wanted: AutomationCore, **other: Any) -> Automation:
    """As the server gives it: the names of events in any order."""
    body = wanted.model_dump(mode="json")
    body["trigger"]["after"].reverse()
    return Automation.model_validate({**body, "id": "11111111-1111-4111-8111-111111111111", **other})


@SET_UP
def test_one_that_is_as_wanted_is_left_alone(wanted: AutomationCore) -> None:
    server = Server(read_back(wanted))
    asyncio.run(setup.automate(server, wanted))  # type: ignore[arg-type]  # all of a client that this needs
    assert server.updates == []


@SET_UP
def test_one_of_an_earlier_release_is_changed_and_stays_switched_off(wanted: AutomationCore) -> None:
    server = Server(read_back(wanted, description="Of an earlier release.", enabled=False))
    asyncio.run(setup.automate(server, wanted))  # type: ignore[arg-type]  # all of a client that this needs
    (update,) = server.updates
    assert (update.name, update.description, update.enabled) == (wanted.name, wanted.description, False)
    assert update.trigger.model_dump(exclude={"id"}) == wanted.trigger.model_dump(exclude={"id"})
