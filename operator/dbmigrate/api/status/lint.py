"""What the linter found, within the status's bounds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dbmigrate.api.base import ApiModel


class LintFindingStatus(ApiModel):
    """One place where a file breaks a rule of the linter."""

    rule: str
    """Name of the rule; squawkhq.com/docs/NAME explains it."""
    level: str
    """report, or refuse when it stops the run."""
    file: str
    """The file."""
    line: int
    """Line in the file, from 1."""
    column: int
    """Column in the line, from 1."""
    message: str = ""
    """What is wrong."""


class LintStatus(ApiModel):
    """What the linter found in the files that the last migrating run was to apply."""

    checked_at: str
    """When it looked."""
    level: str
    """Level of the run: report or refuse."""
    summary: str
    """In a few words."""
    refusing: int = 0
    """Findings that refuse the run."""
    reported: int = 0
    """Findings that are only told."""
    gaps: int = 0
    """Statements and files that it did not look at."""
    error: str | None = None
    """Why it did not work; nothing was looked at then."""
    findings: Annotated[tuple[LintFindingStatus, ...], Field(max_length=10)] = ()
    """The first findings, those that refuse before others; the Job's log has them all."""
