"""Acts on a batch from a form in the Prefect UI. Here and not in `flows`, because it is people's acts and no stage of a batch."""

from __future__ import annotations

from typing import Annotated, Literal, assert_never

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from deployments import acts
from deployments.acts import Person
from domain.errors import BulkSenderError
from tasks.approval import VIA
from tasks.milestones import page_of
from tasks.shown import show_batches
from tasks.surroundings import Surroundings, here

Choice = Literal["Pause", "Resume", "Reject", "Archive"]
Number = Annotated[int, Field(title="Batch", ge=1)]
Act = Annotated[Choice, Field(title="What to do")]
Email = Annotated[str, Field(title="Your email", min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]
Comment = Annotated[str, Field(title="Comment", max_length=2000)]
_DONE = {"Pause": "paused", "Resume": "going on", "Reject": "rejected", "Archive": "archived"}


@flow(name="act-on-batch", flow_run_name="{act} batch {batch}")
def act_on_batch(batch: Number, act: Act, email: Email, comment: Comment = "") -> State[None]:
    """Pause, resume, reject or archive a batch, as the web screen and the command line do.

    Args:
        batch: its number, as the table of batches has it.
        act: pause and resume it while it is sent; reject what has not left; archive hides it from the list.
        email: such as name@company.example; kept with what you do.
        comment: why, for whoever looks at it later.
    """
    around = here()
    try:
        do(around, batch, act, who=Person(email, VIA, comment))
    except BulkSenderError as refusal:
        return Failed(message=str(refusal))
    show_batches(around)
    return Completed(message=f"Batch {batch} is {_DONE[act]}: {page_of(around, batch)}")


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
