"""A batch made from the form of its deployment in the Prefect UI."""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from pydantic import Field

from domain.errors import BulkSenderError
from tasks import fetch, milestones, shown
from tasks.recovery import CREATE
from tasks.runs import start_run
from tasks.surroundings import here

Process = Annotated[str, Field(json_schema_extra={"title": "Select A Process"})]
File = Annotated[str, Field(json_schema_extra={"title": "File"}, min_length=1, max_length=2000)]
Code = Annotated[str, Field(json_schema_extra={"title": "Your code"}, max_length=40)]
Sender = Annotated[
    str, Field(json_schema_extra={"title": "Sender Email"}, max_length=254, pattern=r"^([^@\s]+@[^@\s]+)?$")
]
Name = Annotated[str, Field(json_schema_extra={"title": "Batch Name"}, max_length=200)]


@flow(name=CREATE)
def create_batch(
    process: Process, file: File, code: Code = "", sender: Sender = "", name: Name = ""
) -> State[int] | State[None]:
    """Make a batch of a file; it is checked and then waits for approval.

    A run that is started again makes no second batch.

    Args:
        process: A live process.
        file: CSV or Excel. A path on the worker's machine, https://…, or another address that it can read, such as s3://…
        code: From your account's page in the web screen, button "Code for the Prefect UI". It says who creates the batch.
        sender: Only while nobody can sign in to the web screen yet: who creates the batch, such as name@company.example.
        name: What to call the batch; the file's name if it is left empty.
    """
    around = here()
    try:
        batch_id = fetch.create_from(
            around,
            file,
            process_key=process,
            sender=sender,
            code=code,
            name=name,
            run_id=flow_run.id or "",
            start=start_run,
        )
    except BulkSenderError as refusal:
        return Failed(message=str(refusal))
    milestones.tell(around)
    shown.show_created(around, batch_id)
    return Completed(message=f"Batch {batch_id} is created: {milestones.page_of(around, batch_id)}", data=batch_id)
