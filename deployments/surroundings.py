"""Settings, database and storage for people's commands and the web, opened once a process."""

from __future__ import annotations

from tasks.surroundings import Surroundings, surround
from tasks.surroundings import here as surroundings

__all__ = ["Surroundings", "surround", "surroundings"]
