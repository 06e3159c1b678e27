"""The Jobs of the resource, and why the last one did not succeed."""

from __future__ import annotations

from dbmigrate.api.base import ApiModel


class FailureStatus(ApiModel):
    """Why the last run did not succeed."""

    code: str
    """Stable name of the failure."""
    message: str
    """What is wrong."""
    hint: str | None = None
    """What to do next."""
    version: str | None = None
    """The migration that failed."""
    file: str | None = None
    """Its file."""
    line: int | None = None
    """Line in the file, from 1."""
    column: int | None = None
    """Column in the line, from 1."""
    statement: int | None = None
    """Number of the statement in the file, from 1."""
    sqlstate: str | None = None
    """The server's error code."""
    detail: str | None = None
    """The server's detail."""
    excerpt: str | None = None
    """The line that failed, with a caret below."""
    transient: bool | None = None
    """It may well succeed when it is tried again."""
    touched: bool | None = None
    """Some statement of a migration had been sent before it failed; a rollback that was only tried
    and then refused does not count."""


class RunStatus(ApiModel):
    """A Job of this resource."""

    job: str
    """Name of the Job."""
    action: str
    """migrate, status or check."""
    run: int = 0
    """Number of the Job among all of this resource, from 1."""
    attempt: int
    """Number of the attempt at the same work, from 1."""
    retries_used: int = 0
    """How many retries of execution.retryLimit were spent before it."""
    generation: int
    """Generation of the spec that it was made for."""
    source_digest: str
    """Digest of the source that it was made for."""
    started_at: str
    """When the Job was made."""
    finished_at: str | None = None
    """When its result was seen."""
    outcome: str | None = None
    """Succeeded, Failed, Blocked, Stopped or Interrupted, as the runner told; Lost when its result
    could not be read; Outdated when the database has since lost what it left there."""
    exit_code: int | None = None
    """The runner's exit code."""
    duration_ms: int | None = None
    """How long the runner worked, in milliseconds."""
    requested: str | None = None
    """Value of the annotation that it was made for: dbmigrate.dev/check for a check, else
    dbmigrate.dev/retry."""
