"""Acts on a batch from a form in the Prefect UI. Here and not in `flows`, because it is people's acts and no stage of a batch."""

from __future__ import annotations

from typing import Annotated, Literal, assert_never

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from deployments import acts
from deployments.acts import Person
from domain.errors import BulkSenderError, NotAllowed
from domain.rights import Right
from models import batches
from tasks.approval import VIA, refusal_of_code, signer
from tasks.milestones import page_of
from tasks.shown import show_batches
from tasks.surroundings import Surroundings, here

Choice = Literal["Pause", "Resume", "Reject", "Archive"]
Number = Annotated[int, Field(json_schema_extra={"title": "Batch"}, ge=1)]
Act = Annotated[Choice, Field(json_schema_extra={"title": "What to do"})]
Code = Annotated[str, Field(json_schema_extra={"title": "Your code"}, max_length=40)]
Email = Annotated[
    str, Field(json_schema_extra={"title": "Your email"}, max_length=254, pattern=r"^([^@\s]+@[^@\s]+)?$")
]
Comment = Annotated[str, Field(json_schema_extra={"title": "Comment"}, max_length=2000)]
_RIGHTS = {"Pause": Right.PAUSE, "Resume": Right.PAUSE, "Reject": Right.DECIDE, "Archive": Right.ARCHIVE}
_DONE = {"Pause": "paused", "Resume": "going on", "Reject": "rejected", "Archive": "archived"}


@flow(name="act-on-batch", flow_run_name="{act} batch {batch}")
def act_on_batch(batch: Number, act: Act, code: Code = "", email: Email = "", comment: Comment = "") -> State[None]:
    """Pause, resume, reject or archive a batch, as the web screen and the command line do.

    Args:
        batch: Its number, as the table of batches has it.
        act: Pause and Resume while it is sent. Reject ends what has not left. Archive hides it from the list.
        code: From the batch's page in the web screen, button "Code for the Prefect UI". It says who acts.
        email: Only while nobody can sign in to the web screen yet; such as name@company.example.
        comment: Why, for whoever looks at it later.
    """
    around = here()
    try:
        do(around, batch, act, who=known(around, batch, act, code=code, email=email, comment=comment))
    except BulkSenderError as refusal:
        return Failed(message=str(refusal))
    show_batches(around)
    return Completed(message=f"Batch {batch} is {_DONE[act]}: {page_of(around, batch)}")


def known(around: Surroundings, batch_id: int, act: Choice, *, code: str, email: str, comment: str) -> Person:
    """Who acts: whose code it is, or while there is no user, whose email was given.

    Raises:
        NotFound: there is no such batch.
        NotAllowed: a code is needed, or it is not right.
        Forbidden: whose code it is may not do that.
    """
    with around.database.read() as session:
        revision = batches.by_id(session, batch_id).revision
    refusal = refusal_of_code(around, batch_id, code, revision=revision)
    if refusal is not None:
        raise NotAllowed(refusal)
    with around.database.write() as session:
        by = signer(around, session, batch_id, code=code, email=email, revision=revision, right=_RIGHTS[act])
    return Person(by, VIA, comment)


def do(around: Surroundings, batch_id: int, act: Choice, *, who: Person) -> None:
    """Do what was chosen.

    Raises:
        BulkSenderError: why it cannot be done; nothing was changed.
    """
    match act:
        case "Pause":
            acts.pause(around, batch_id, who=who)
        case "Resume":
            acts.resume(around, batch_id, who=who)
        case "Reject":
            acts.reject(around, batch_id, who=who)
        case "Archive":
            acts.archive(around, batch_id, who=who)
        case _:
            assert_never(act)
