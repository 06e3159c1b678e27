"""What came of proving rollbacks on a scratch database."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dbmigrate.api.report.outcome import Failure


class ProofStatus(StrEnum):
    """What came of proving one rollback."""

    PROVED = "proved"
    DIFFERS = "differs"
    """Something did not come back, or came back different."""
    NO_ROLLBACK = "noRollback"
    FAILED = "failed"
    """A step failed: see `phase` and `failure`."""


@dataclass(frozen=True, slots=True)
class ProofDifference:
    """An object that is not as it was."""

    kind: str
    """``table``, ``column``, ``constraint``, ``function``, ``privileges`` …"""
    identity: str
    difference: str
    """``missing``, ``extra`` or ``changed``."""
    phase: str
    """``afterRollback``: against before; ``afterSecondUp``: against after the first time up."""
    diff: str = ""
    """The lines of its definition that differ: ``-`` as it was, ``+`` as it is."""


@dataclass(frozen=True, slots=True)
class ProvedMigration:
    """One migration that went up, down and up on a scratch database."""

    version: str
    file: str
    status: ProofStatus
    phase: str = ""
    """For FAILED: ``up``, ``down`` or ``secondUp``."""
    differences: tuple[ProofDifference, ...] = ()
    """An other order of columns alone does not make it DIFFERS: it cannot be helped."""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class ProofReport:
    """What `prove` found."""

    proved: bool
    """No rollback differs or failed; there may be migrations without one."""
    migrations: tuple[ProvedMigration, ...] = ()
    catalog_fingerprint: str = ""
    """SHA-256 of the catalog that all of it leads to."""
