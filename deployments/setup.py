"""What Prefect's server must know before a batch can run: limits, accounts, deployments. Safe to run again.

`python -m deployments.setup` does it for the server that PREFECT_API_URL names.
"""

from __future__ import annotations

import asyncio
import importlib
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import yaml
from prefect import Flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, GlobalConcurrencyLimitCreate
from prefect.client.schemas.objects import ConcurrencyOptions, StateType
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound
from prefect.utilities.callables import parameter_schema
from pydantic import SecretStr

from deployments.form import offer_processes
from settings import SANDBOX_SENDGRID_KEY, SANDBOX_TWILIO_SID, SANDBOX_TWILIO_TOKEN, Settings, load
from tasks.credentials import BLOCK, SendGridAccount, TwilioAccount
from tasks.limits import EMAIL_LIMIT, SMS_LIMIT
from tasks.recovery import SWEEP_INBOX
from tasks.surroundings import surround

Account = TypeVar("Account", SendGridAccount, TwilioAccount)
PREFECT_YAML = Path(__file__).parent.parent / "prefect.yaml"
ANY_RUN = {"prefect.resource.id": "prefect.flow-run.*"}
AUTOMATIONS = (
    AutomationCore(
        name="bulk-sender: a run that fell silent has crashed",
        description="Its machine was lost: nobody else reports that. Suspended runs are not meant; their last word is another.",
        trigger=EventTrigger(
            after={f"prefect.flow-run.{word}" for word in ("Pending", "Submitting", "Running", "heartbeat")},
            expect={"prefect.flow-run.*"},
            match=ResourceSpecification.model_validate(ANY_RUN),
            match_related=ResourceSpecification.model_validate({"prefect.resource.id": "prefect.tag.bulk-sender*"}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=90),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED, name="Crashed", force=False, message="Nothing was heard of it for 90 seconds."
            )
        ],
    ),
    AutomationCore(
        name="bulk-sender: a crashed run is started again",
        # At once would be wrong: a crash is reported twice, and two processes would do the same run.
        description="20 seconds later, if nobody else did so. Which end is final is decided by the sweep `settle`.",
        trigger=EventTrigger(
            after={"prefect.flow-run.Crashed"},
            expect={"prefect.flow-run.*"},
            match=ResourceSpecification.model_validate(ANY_RUN),
            match_related=ResourceSpecification.model_validate({"prefect.resource.id": "prefect.tag.bulk-sender"}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=20),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.SCHEDULED, name="AwaitingRetry", force=False, message="Its process was gone."
            )
        ],
    ),
)


async def set_up(settings: Settings) -> None:
    """Bring the server to what this release needs; keeps what people changed in the Prefect UI, but for credentials that the environment sets."""
    async with get_client() as client:
        await _limit(client, EMAIL_LIMIT, settings.email_requests_per_second)
        await _limit(client, SMS_LIMIT, settings.sms_per_second)
        await _accounts(settings)
        for deployment in yaml.safe_load(PREFECT_YAML.read_text())["deployments"]:
            await _deploy(client, deployment, settings)
        for automation in AUTOMATIONS:
            await automate(client, automation)
    await asyncio.to_thread(offer_processes, surround(settings))


async def _limit(client: PrefectClient, name: str, per_second: int) -> None:
    try:
        await client.read_global_concurrency_limit_by_name(name)
    except ObjectNotFound:
        await client.create_global_concurrency_limit(
            GlobalConcurrencyLimitCreate(name=name, limit=per_second, slot_decay_per_second=float(per_second))
        )


async def _accounts(settings: Settings) -> None:
    """Keep each account as a block: from the environment, or the sandbox's where no credentials are set.

    An account that somebody made in the Prefect UI is left alone as long as the environment names none.
    """
    email = SendGridAccount(api_key=SecretStr(SANDBOX_SENDGRID_KEY), host=settings.sandbox_url)
    known_email = await _known(SendGridAccount)
    if settings.sendgrid_api_key is not None:
        email = SendGridAccount(
            api_key=settings.sendgrid_api_key,
            host=settings.sendgrid_host or SendGridAccount.model_fields["host"].default,
            senders=known_email.senders if known_email else [],
        )
    if known_email is None or settings.email_is_real or _is_sandbox(known_email.api_key, SANDBOX_SENDGRID_KEY):
        await email.save(BLOCK, overwrite=True)
    sms = TwilioAccount(
        account_sid=SANDBOX_TWILIO_SID, auth_token=SecretStr(SANDBOX_TWILIO_TOKEN), host=settings.sandbox_url
    )
    known_sms = await _known(TwilioAccount)
    if settings.twilio_account_sid is not None and settings.twilio_auth_token is not None:
        sms = TwilioAccount(
            account_sid=settings.twilio_account_sid,
            auth_token=settings.twilio_auth_token,
            host=settings.twilio_host or TwilioAccount.model_fields["host"].default,
            senders=known_sms.senders if known_sms else [],
        )
    if known_sms is None or settings.sms_is_real or _is_sandbox(known_sms.auth_token, SANDBOX_TWILIO_TOKEN):
        await sms.save(BLOCK, overwrite=True)


def _is_sandbox(secret: SecretStr, of_sandbox: str) -> bool:
    return secret.get_secret_value() == of_sandbox


async def _known(kind: type[Account]) -> Account | None:
    try:
        found = await kind.aload(BLOCK)
    except ValueError:  # Prefect's word for a block that was never saved
        return None
    return found if isinstance(found, kind) else None


async def _deploy(client: PrefectClient, entry: dict[str, Any], settings: Settings) -> None:
    module, name = entry["entrypoint"].rsplit(".", 1)
    limit: dict[str, Any] = entry.get("concurrency_limit", {})
    flow: Flow[Any, Any] = getattr(importlib.import_module(module), name)
    # Where no inbox is set, a run a minute would be for nothing.
    active = entry["name"] != SWEEP_INBOX or settings.inbox_url is not None
    await client.create_deployment(
        flow_id=await client.create_flow(flow),
        name=entry["name"],
        description=entry.get("description"),
        entrypoint=entry["entrypoint"],
        tags=entry.get("tags", []),
        work_pool_name=entry["work_pool"]["name"],
        job_variables=entry["work_pool"]["job_variables"],
        parameter_openapi_schema=parameter_schema(flow).model_dump_for_openapi(),
        pull_steps=[],
        path=".",
        schedules=[_schedule(schedule, active=active) for schedule in entry.get("schedules", [])],
        concurrency_limit=limit.get("limit"),
        concurrency_options=ConcurrencyOptions(
            collision_strategy=limit["collision_strategy"], grace_period_seconds=limit["grace_period_seconds"]
        )
        if limit
        else None,
    )


def _schedule(entry: dict[str, Any], *, active: bool) -> DeploymentScheduleCreate:
    times = {name: entry[name] for name in ("interval", "anchor_date") if name in entry}
    return DeploymentScheduleCreate(slug=entry["slug"], active=active, schedule=IntervalSchedule(**times))


async def automate(client: PrefectClient, wanted: AutomationCore) -> None:
    """Have one automation of this name, as this release wants it; one that people switched off stays off."""
    known = await client.read_automations_by_name(wanted.name)
    for more in known[1:]:
        await client.delete_automation(more.id)
    if not known:
        await client.create_automation(wanted)
    elif _content(known[0]) != _content(wanted):
        await client.update_automation(known[0].id, _changed(known[0], wanted))


def _changed(known: AutomationCore, wanted: AutomationCore) -> AutomationCore:
    """`wanted` as the server takes it for `known`: with every field but the owner, which an update may not name."""
    return AutomationCore(**{**wanted.model_dump(exclude={"owner_resource"}), "enabled": known.enabled})


def _content(automation: AutomationCore) -> dict[str, Any]:
    """What an automation does, without its ids and whether it is switched on."""
    # Not as JSON: there the names of events are a list, in another order in each process.
    content = automation.model_dump(include={"description", "trigger", "actions"})
    content["trigger"].pop("id", None)
    return content


def main() -> None:
    """Set up the server that the environment names."""
    asyncio.run(set_up(load()))


if __name__ == "__main__":
    main()
