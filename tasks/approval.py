"""Await approval: the form of the Prefect UI, and the decision in our ledger, whoever made it and where."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from enum import StrEnum

from prefect.input import RunInput
from pydantic import Field
from sqlmodel import Session

from domain.errors import Forbidden, NotAllowed
from domain.links import fingerprint
from domain.proofs import code_hash
from domain.rights import Right, Role, may, without_right
from domain.states import Phase, Status
from domain.summary import Checked, ProblemKind, check_markdown, sample_messages
from models import accounts, batches, processes
from models.batches import Act
from tasks.surroundings import Surroundings, now

VIA = "Prefect UI"
_MOST_WRONG_CODES = 5
_WRONG_COUNTS = timedelta(minutes=15)


class Decision(StrEnum):
    """What an approver can choose."""

    APPROVE = "Approve"
    REJECT = "Reject"


class Approval(RunInput):
    """The form on which a batch is decided; it has no default decision."""

    decision: Decision = Field(title="Decision", description="Approve sends it; Reject ends it.")
    code: str = Field(
        default="",
        title="Your code",
        description='From the batch\'s page in the web screen: button "Code for the Prefect UI". It says who decides.',
    )
    email: str = Field(
        default="",
        title="Your email",
        description="Only while nobody can sign in to the web screen yet; such as name@company.example.",
        pattern=r"^([^@\s]+@[^@\s]+)?$",
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
    with around.database.read() as session:
        if batches.by_id(session, batch_id).status != Status.PENDING_APPROVAL:
            return None
    if (refusal := refusal_of_code(around, batch_id, form.code, revision=revision)) is not None:
        return refusal
    try:
        with around.database.write() as session:
            if batches.by_id(session, batch_id).status != Status.PENDING_APPROVAL:
                return None
            by = signer(around, session, batch_id, code=form.code, email=form.email, revision=revision)
            act = Act(by=by, comment=form.comment, via=VIA, now=now())
            if form.decision is Decision.REJECT:
                batches.reject(session, batch_id, act, seen_revision=revision)
            else:
                batches.approve(
                    session,
                    batch_id,
                    act,
                    link_print=link_print(around),
                    seen_revision=revision,
                    four_eyes=around.settings.four_eyes,
                )
    except (NotAllowed, Forbidden) as refusal:
        return str(refusal)
    return None


def refusal_of_code(around: Surroundings, batch_id: int | None, code: str, *, revision: int) -> str | None:
    """Why a code that nobody was given is refused, after counting it; None for any other answer.

    Prefect shows earlier answers again whenever the run goes on, so the same wrong code counts once.
    """
    kept = _kept_code(around, batch_id, code, revision=revision)
    with around.database.write() as session:
        if not accounts.exist(session):
            return None
        wrong = accounts.wrong_codes(session, batch_id, now=now())
        if len(wrong) >= _MOST_WRONG_CODES:
            free = wrong[-_MOST_WRONG_CODES]
            return (
                f"Too many wrong codes were given for {_what(batch_id)}. Try again after {free:%H:%M} UTC with a new code, "
                "or do it in the web screen."
            )
        if not code.strip():
            return f"A code is needed. {_where(batch_id)}"
        known = accounts.code(session, kept)
        if known is not None and known.account_id is not None:
            return None
        if known is None:
            until = now() + _WRONG_COUNTS
            accounts.add_code(session, kept, account=None, batch_id=batch_id, revision=revision, expires_at=until)
    return f"That code is not right for {_what(batch_id)}. {_where(batch_id)}"


def signer(
    around: Surroundings,
    session: Session,
    batch_id: int | None,
    *,
    code: str,
    email: str,
    revision: int,
    right: Right = Right.DECIDE,
) -> str:
    """The email of whoever decides, or creates a batch: the code's user, or while there is no user, the one that was given.

    Uses the code up, in a writing transaction.

    Raises:
        NotAllowed: the code was used, is expired or wrong, or no email was given.
        Forbidden: its user has not the right, or not any more.
    """
    if not accounts.exist(session):
        if not email:
            raise NotAllowed("Your email is needed; it is kept in the batch's history.")
        return email
    account = accounts.use_code(session, _kept_code(around, batch_id, code, revision=revision), now=now())
    if account is None:
        raise NotAllowed(f"That code was used already, or its 15 minutes are over. {_where(batch_id)}")
    role = Role(account.role)
    if account.disabled_at is not None or not may(role, right):
        raise Forbidden(without_right(account.email, role, right))
    return account.email


def _what(batch_id: int | None) -> str:
    return "creating a batch" if batch_id is None else f"batch {batch_id} as it is now"


def _where(batch_id: int | None) -> str:
    page = "your account's page" if batch_id is None else "the batch's page"
    return f'Get one from {page} in the web screen: button "Code for the Prefect UI".'


def _kept_code(around: Surroundings, batch_id: int | None, code: str, *, revision: int) -> str:
    return code_hash(around.settings.secret, code, batch_id=batch_id, revision=revision)


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
        has_users = accounts.exist(session)
        makers = batches.makers(session, batch)
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
    parts.append(_how_to_sign(around, batch_id, has_users=has_users, makers=makers))
    if revision:
        parts.insert(1, f"*Rows were corrected since the upload: this is correction {revision}.*")
    if refusal:
        parts.insert(0, f"**That decision could not be taken.** {refusal}")
    return "\n\n".join(parts)


def _how_to_sign(around: Surroundings, batch_id: int, *, has_users: bool, makers: Collection[str]) -> str:
    """What the form must be answered with here."""
    page = f"{around.settings.links_base}/batches/{batch_id}"
    needed = (
        f'**Your code is needed**: open [the batch\'s page]({page}), press "Code for the Prefect UI" and copy what it shows.'
        if has_users
        else "**Your email is needed**: nobody can sign in to the web screen yet, so no code."
    )
    others = (
        f"Approving is for somebody other than {', '.join(sorted(makers))}."
        if around.settings.four_eyes
        else "Four-eyes approval is off: whoever created the batch may approve it too."
    )
    return f"{needed} {others}"
