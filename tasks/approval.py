"""Await approval: the form of the Prefect UI, and the decision in our ledger, whoever made it and where."""

from __future__ import annotations

from enum import StrEnum

from prefect.input import RunInput
from pydantic import Field

from domain.errors import NotAllowed
from domain.links import fingerprint
from domain.states import Phase, Status
from domain.summary import Checked, ProblemKind, check_markdown, sample_messages
from models import batches, processes
from models.batches import Act
from tasks.surroundings import Surroundings, now

VIA = "Prefect UI"


class Decision(StrEnum):
    """What an approver can choose."""

    APPROVE = "Approve"
    REJECT = "Reject"


class Approval(RunInput):
    """The form on which a batch is decided; it has no default decision."""

    decision: Decision = Field(title="Decision", description="Approve sends it; Reject ends it.")
    email: str = Field(
        title="Your email",
        description="Such as name@company.example; kept with the decision.",
        min_length=3,
        pattern=r"^[^@\s]+@[^@\s]+$",
    )
    comment: str = Field(default="", title="Comment", description="Why, for whoever looks at it later.")


def is_decided(around: Surroundings, batch_id: int) -> bool | None:
    """Whether the batch may be sent; None while nobody has decided."""
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        if batch.status == Status.PENDING_APPROVAL:
            return None
        may_go_on = {Phase.WAITING, Phase.SENDING, Phase.SETTLING, Phase.FINISHED}
        return batch.status == Status.APPROVED and batch.phase in may_go_on


def has_failed(around: Surroundings, batch_id: int) -> bool:
    """Whether the batch's file could not be used, so that there is nothing to decide."""
    with around.database.read() as session:
        return batches.by_id(session, batch_id).phase == Phase.FAILED


def decide(around: Surroundings, batch_id: int, form: Approval, *, revision: int) -> str | None:
    """Record what was chosen on the form, unless the batch was decided elsewhere meanwhile.

    Args:
        around: settings and database.
        batch_id: the batch.
        form: the answers.
        revision: what the form was about; a batch that was corrected since is not decided by it.

    Returns:
        Why the decision could not be taken, or None.
    """
    try:
        with around.database.write() as session:
            if batches.by_id(session, batch_id).status != Status.PENDING_APPROVAL:
                return None
            act = Act(by=form.email, comment=form.comment, via=VIA, now=now())
            if form.decision is Decision.REJECT:
                batches.reject(session, batch_id, act, seen_revision=revision)
            else:
                batches.approve(session, batch_id, act, link_print=link_print(around), seen_revision=revision)
    except NotAllowed as refusal:
        return str(refusal)
    return None


def link_print(around: Surroundings) -> str:
    """What a batch remembers at approval of how its links are made."""
    return fingerprint(around.settings.secret, public_url=around.settings.links_base)


def checked(around: Surroundings, batch_id: int) -> Checked:
    """What the check of a batch found."""
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        version = processes.version_by_id(session, batch.process_version_id)
        return Checked(
            name=batch.name,
            process=version.name,
            version=version.version,
            sender=batch.sender,
            file_name=batch.file_name,
            file_sha256=batch.file_sha256,
            rows=batch.row_count,
            valid=batch.valid,
            invalid=batch.invalid,
            warnings=batch.warnings,
            problems=[ProblemKind(kind["message"], kind["count"], kind["rows"]) for kind in batch.problems or []],
        )


def revision_to_decide(around: Surroundings, batch_id: int) -> int:
    """Which revision of a batch a person must decide about now.

    Raises:
        NotAllowed: rows were corrected in this moment; the run that checks them asks about them.
    """
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        if batch.phase != Phase.WAITING:
            raise NotAllowed(f"Batch {batch_id} was corrected in this moment; its newest run asks about it.")
        return batch.revision


def invitation(around: Surroundings, batch_id: int, *, refusal: str | None) -> str:
    """What stands above the form: the check, made-up messages, where they go, and why an earlier answer did not hold."""
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        definition = processes.definition_of(processes.version_by_id(session, batch.process_version_id))
        revision = batch.revision
    settings = around.settings
    sandboxed = [
        channel
        for channel, output, real in (
            ("email", definition.start.email, settings.email_is_real),
            ("SMS", definition.start.sms, settings.sms_is_real),
        )
        if output is not None and not real
    ]
    parts = [
        check_markdown(checked(around, batch_id)),
        "### What people will read (made-up values)",
        sample_messages(definition),
    ]
    if sandboxed:
        parts.append(
            f"*No credentials are set for {' and '.join(sandboxed)}: that goes to the sandbox, and nothing of it is really sent.*"
        )
    if revision:
        parts.insert(1, f"*Rows were corrected since the upload: this is correction {revision}.*")
    if refusal:
        parts.insert(0, f"**That decision could not be taken.** {refusal}")
    return "\n\n".join(parts)
