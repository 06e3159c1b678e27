"""What the integrity checks found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IntegrityResult:
    """What one integrity check found."""

    check: str
    status: str
    """``PASS``, ``FAIL`` or ``ERROR`` (it could not run)."""
    severity: str
    """``critical``, ``warning`` or ``info``."""
    details: str = ""
    affected_records: int = 0
    duration_ms: int = 0


@dataclass(frozen=True, slots=True)
class IntegrityReport:
    """What all integrity checks found, in one snapshot of the database."""

    checked_at: str
    healthy: bool
    """No FAIL of severity critical or warning, and no ERROR."""
    summary: str
    """A few words for a table's column: ``Healthy``, ``1 critical, 2 warnings``."""
    critical_failures: int = 0
    warnings: int = 0
    errors: int = 0
    results: tuple[IntegrityResult, ...] = ()
