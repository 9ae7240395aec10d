"""What every stage works with: the settings, the ledger's database and the kept files."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from domain.links import Links
from domain.pacing import Outage
from domain.splitting import EMAIL, SMS
from files.storage import Storage
from models.database import Database
from settings import Settings, load


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Opened once a process and shared by its threads."""

    settings: Settings
    database: Database
    storage: Storage
    outages: Mapping[str, Outage] = field(default_factory=lambda: {EMAIL: Outage(), SMS: Outage()})
    """What this process has learned of each channel's provider."""

    @property
    def links(self) -> Links:
        """The personal links of this installation."""
        return Links(self.settings.secret, public_url=self.settings.links_base)


def surround(settings: Settings) -> Surroundings:
    """Open what the settings name and bring the schema to this release."""
    database = Database(settings.database)
    database.migrate()
    return Surroundings(settings, database, Storage(settings.storage))


@lru_cache(maxsize=1)
def here() -> Surroundings:
    """What the environment of this process names."""
    # Half a million objects of imported modules stay as they are: the collector need not look at them again and again.
    gc.freeze()
    return surround(load())


def now() -> datetime:
    """The present moment, UTC."""
    return datetime.now(UTC)
