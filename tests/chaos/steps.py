"""Where a process can be killed: one name a step of the protocol, and the trap that springs there.

The product knows nothing of this. A trap wraps one function of the product in the process that is to die.
"""

from __future__ import annotations

import functools
import http.client
import inspect
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp
from sqlalchemy import Engine, event
from sqlmodel import Session

from domain.states import Phase
from files.storage import Storage
from models import batches, recipients, requests
from tasks import send, settle, split

Role = Literal["sender", "sweeper"]
BEFORE, AFTER = "before", "after"


class Trap:
    """Kills its own process, as no handler can prevent, when it is touched for the `call`th time."""

    def __init__(self, call: int) -> None:
        self._left = call

    def touch(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Step:
    """A place in the protocol.

    Attributes:
        places: functions by owner and name; the trap is touched at each of them.
        when: before the function, or after it.
        roles: the processes that come by there.
        phases: where a batch stands when they do.
        calls: how often they come by in one life; at which of these the trap springs is drawn.
    """

    places: tuple[tuple[Any, str], ...]
    when: str
    phases: frozenset[Phase]
    roles: tuple[Role, ...] = ("sender",)
    calls: int = 1


BOTH: tuple[Role, ...] = ("sender", "sweeper")
CHECKING = frozenset({Phase.CHECKING})
STARTING = frozenset({Phase.CHECKING, Phase.WAITING})
SENDING = frozenset({Phase.WAITING, Phase.SENDING})
ENDING = frozenset({Phase.SENDING, Phase.SETTLING})
EVER = frozenset({*STARTING, *ENDING})
STEPS: Mapping[str, Step] = {
    "check: a file is to be kept": Step(((Storage, "put"),), BEFORE, CHECKING, calls=3),
    "check: a file is kept, the ledger does not know": Step(((Storage, "put"),), AFTER, CHECKING, calls=3),
    "check: recipients written, not committed": Step(((recipients, "replace_all"),), AFTER, CHECKING),
    "approval: decided, not committed": Step(((batches, "approve"),), AFTER, STARTING),
    "split: plan written, not committed": Step(((requests, "write_plan"),), AFTER, STARTING),
    "split: plan committed, nobody knows": Step(((split, "left"),), BEFORE, STARTING, calls=2),
    "send: no intent yet": Step(((requests, "claim"),), BEFORE, SENDING, calls=6),
    "send: intent written, not committed": Step(((requests, "claim"),), AFTER, SENDING, calls=6),
    "send: intent committed, no byte sent": Step(((send, "_make"),), BEFORE, SENDING, calls=30),
    "send: bytes sent, no answer": Step(
        ((http.client.HTTPConnection, "getresponse"), (aiohttp.ClientResponse, "start")), BEFORE, SENDING, calls=30
    ),
    "send: answered, not recorded": Step(((send._ChunkSender, "_turn"),), BEFORE, SENDING, calls=10),  # noqa: SLF001  the step has no public name
    "send: answer written, not committed": Step(((requests, "record"),), AFTER, SENDING, BOTH, calls=12),
    "send: answer committed": Step(((send._ChunkSender, "_turn"),), AFTER, SENDING, calls=10),  # noqa: SLF001  same
    "doubt: raised, not committed": Step(((requests, "doubt_expired"),), AFTER, ENDING, BOTH, calls=6),
    "settle: looked up, not noted": Step(((settle, "_note"),), BEFORE, ENDING, ("sweeper",), calls=6),
    "settle: noted, not judged": Step(((settle, "_note"),), AFTER, ENDING, ("sweeper",), calls=6),
    "settle: settled, not committed": Step(((requests, "settle"),), AFTER, ENDING, BOTH, calls=3),
    "settle: sent again, not committed": Step(((requests, "send_again"),), AFTER, ENDING, ("sweeper",), calls=2),
    "reconcile: phase moved, not committed": Step(((batches, "advance"),), AFTER, ENDING, BOTH, calls=3),
    "report: file kept, not noted": Step(((batches, "note_result"),), BEFORE, ENDING, BOTH),
    "any transaction: before its commit": Step(((Engine, "commit"),), BEFORE, EVER, BOTH, calls=25),
    "any transaction: after its commit": Step(((Session, "after_commit"),), AFTER, EVER, BOTH, calls=25),
}
MOMENT = "at a random moment"
EVERYTHING = "everything at once, at a random moment"


def arm(name: str, call: int) -> None:
    """Set the trap of a step in this process."""
    step, trap = STEPS[name], Trap(call)
    for owner, attribute in step.places:
        if owner in (Engine, Session):
            event.listen(owner, attribute, lambda *_: trap.touch())
        else:
            setattr(owner, attribute, _trapped(getattr(owner, attribute), trap, step.when))


def _trapped(function: Callable[..., Any], trap: Trap, when: str) -> Callable[..., Any]:
    @functools.wraps(function)
    async def asynchronous(*given: Any, **named: Any) -> Any:
        if when == BEFORE:
            trap.touch()
        result = await function(*given, **named)
        if when == AFTER:
            trap.touch()
        return result

    @functools.wraps(function)
    def synchronous(*given: Any, **named: Any) -> Any:
        if when == BEFORE:
            trap.touch()
        result = function(*given, **named)
        if when == AFTER:
            trap.touch()
        return result

    return asynchronous if inspect.iscoroutinefunction(function) else synchronous
