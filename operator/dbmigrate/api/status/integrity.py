"""What the integrity checks found, within the status's bounds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dbmigrate.api.base import ApiModel


class IntegrityResultStatus(ApiModel):
    """What one check found."""

    check: str
    """Name of the check."""
    status: Literal["PASS", "FAIL", "ERROR"]
    """PASS, FAIL, or ERROR when it could not run."""
    severity: str
    """critical, warning or info."""
    details: str = ""
    """What is wrong, with some of the keys."""
    affected_records: int = 0
    """How many rows are concerned."""


class IntegrityStatus(ApiModel):
    """What the integrity checks found."""

    checked_at: str
    """When they ran, by the database's clock."""
    healthy: bool
    """All is well."""
    summary: str
    """In a few words."""
    critical_failures: int = 0
    """Failed checks of severity critical."""
    warnings: int = 0
    """Failed checks of severity warning."""
    errors: int = 0
    """Checks that could not run."""
    requested: str | None = None
    """Value of the annotation dbmigrate.dev/check that was answered."""
    spec_hash: str | None = None
    """Hash of the list of checks that was run."""
    results: Annotated[tuple[IntegrityResultStatus, ...], Field(max_length=50)] = ()
    """Each check's result."""
