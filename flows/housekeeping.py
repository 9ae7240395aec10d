"""Housekeeping: what nobody needs any more is removed."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks import housekeeping as removing
from tasks.recovery import HOUSEKEEPING
from tasks.surroundings import here


@flow(name=HOUSEKEEPING)
def housekeeping() -> State[None]:
    """Remove what nobody needs any more and say how much it was; harmless at any time and beside itself."""
    tidied = removing.tidy(here())
    removing.show(tidied)
    if tidied.failed:
        return Failed(message=f"Could not be removed: {', '.join(tidied.failed)}. The log says why.")
    return Completed(message=f"{sum(tidied.removed.values()):,} things removed.")
