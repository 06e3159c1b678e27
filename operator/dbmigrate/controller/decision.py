"""What is to be done about one resource, as values; `decide` makes them, `act` carries them out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dbmigrate.api.databasemigration import DatabaseMigrationStatus
from dbmigrate.controller.observation import JobPurpose


@dataclass(frozen=True, slots=True)
class JobPlan(JobPurpose):
    """A Job that should exist; `manifests` makes the object from it."""


@dataclass(frozen=True, slots=True)
class StopPod:
    """A pod that is to be asked to stop after its running file."""

    pod: str
    reason: str


class EventType(StrEnum):
    """The two kinds of Events that Kubernetes has."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class EventNote:
    """An Event to be told once: two with the same key are one."""

    type: EventType
    reason: str
    message: str
    key: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What should be done now, and when to look again if nothing happens before."""

    status: DatabaseMigrationStatus
    create: JobPlan | None = None
    stop: tuple[StopPod, ...] = ()
    delete_jobs: tuple[str, ...] = ()
    follow: tuple[str, ...] = ()
    """Jobs whose log should be read while they run."""
    events: tuple[EventNote, ...] = ()
    again_at: datetime | None = None
