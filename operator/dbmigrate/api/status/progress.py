"""What the running Job is at, and whom it waits for."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from dbmigrate.api.base import ApiModel


class BlockerStatus(ApiModel):
    """A session, or a prepared transaction, that the running Job waits for."""

    pid: int | None = None
    """Its server process; absent for a prepared transaction."""
    prepared: Annotated[str, StringConstraints(max_length=200)] | None = None
    """Identifier of the prepared transaction."""
    user: Annotated[str, StringConstraints(max_length=64)] | None = None
    """Its database user."""
    application: Annotated[str, StringConstraints(max_length=64)] | None = None
    """Its application_name."""
    client: Annotated[str, StringConstraints(max_length=64)] | None = None
    """Address that it connects from."""
    state: Annotated[str, StringConstraints(max_length=64)] | None = None
    """What it does: active, idle in transaction …; absent when the role that migrates may not see
    it (it needs pg_read_all_stats)."""
    since: str | None = None
    """When its transaction began."""
    query: Annotated[str, StringConstraints(max_length=200)] | None = None
    """The beginning of its query, or of its last one."""


class ProgressStatus(ApiModel):
    """What the running Job is at."""

    version: str | None = None
    """The migration that runs."""
    file: str | None = None
    """Its file."""
    number: int | None = None
    """Its number in this run, from 1."""
    of: int | None = None
    """How many this run has."""
    statement: int | None = None
    """The statement that runs, from 1."""
    statement_started_at: str | None = None
    """When that statement was begun, where it takes long."""
    phase: Annotated[str, StringConstraints(max_length=100)] | None = None
    """What the server says that it does, such as building index: scanning table."""
    percent: Annotated[int, Field(ge=0, le=100)] | None = None
    """How much of that phase is done; absent where the server does not count."""
    started_at: str | None = None
    """When this migration was begun."""
    message: str | None = None
    """What it waits for, if it waits."""
    blockers: Annotated[tuple[BlockerStatus, ...], Field(max_length=5)] | None = None
    """Whom it waits for, the oldest transactions first."""
