"""What a command that has ended left on its two outputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def content(self) -> Any:
        """The JSON on its output; nothing else may stand there."""
        return json.loads(self.out)

    @property
    def refusal(self) -> str:
        """Its one sentence; a refusal is that, exit code 1 and nothing else."""
        assert (self.code, self.out, self.err.count("\n")) == (1, "", 1), self
        sentence = self.err.strip()
        assert "Traceback" not in sentence
        assert "should not have happened" not in sentence
        return sentence


Run = Callable[..., Ended]
