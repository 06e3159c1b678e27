"""What the database has: migrations, and a file that is applied in part."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from dbmigrate.api.base import ApiModel


class MigrationStatus(ApiModel):
    """A migration that the database has."""

    version: str
    """Its version."""
    file: str
    """The file that it was applied from."""
    checksum: str
    """SHA-256 of the file's bytes, as `sha256sum` prints it."""
    applied_at: str
    """When it was applied, by the database's clock."""
    applied_by: str | None = None
    """Who applied it."""
    execution_time_ms: int | None = None
    """How long it ran, in milliseconds."""
    git_commit_hash: str | None = None
    """The Git commit that it came from, where it was told."""
    plan_hash: str | None = None
    """Hash of the plan that it ran under."""


class UnfinishedStatus(ApiModel):
    """A file that runs by statement, was begun, and is not finished."""

    file: Annotated[str, StringConstraints(max_length=255)]
    """The file."""
    version: Annotated[str, StringConstraints(max_length=64)] | None = None
    """Its version; a repeatable file has none."""
    direction: Annotated[str, StringConstraints(max_length=16)]
    """forward, rollback or repeatable."""
    statements_done: int
    """How many of its statements are done, and stay."""
    statement_in_doubt: int | None = None
    """Number of the statement of which nobody knows yet whether it has taken effect, from 1. The
    next run looks; where nothing can tell, it fails with StatementInDoubt."""
    statement: Annotated[str, StringConstraints(max_length=200)] | None = None
    """The beginning of that statement."""
    applied_by: Annotated[str, StringConstraints(max_length=255)] | None = None
    """Who began it."""
