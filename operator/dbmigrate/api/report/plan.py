"""What would run, and which way."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    """Which way a plan goes."""

    FORWARD = "forward"
    ROLLBACK = "rollback"
    REPEATABLE = "repeatable"


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One file of a plan."""

    version: str
    file: str
    checksum: str
    """SHA-256 of the file's bytes, hexadecimal."""
    direction: Direction = Direction.FORWARD
    out_of_order: bool = False
    """It is older than what is applied already."""


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What would run, in order; see `dbmigrate.migrations.plan` for what the hash covers."""

    direction: Direction
    from_version: str | None
    to_version: str | None
    hash: str
    steps: tuple[PlanStep, ...] = ()
    repeatables: tuple[PlanStep, ...] = ()
    """Files without a version that run behind the steps, because they have changed."""
