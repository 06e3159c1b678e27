"""How a run behaves: timeouts, retries, and what it refuses."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from dbmigrate.api.base import ApiModel, cel
from dbmigrate.api.spec.fields import Duration

PARAMETER = r"^[A-Za-z_][A-Za-z0-9_$.]{0,126}$"

_IS_PARAMETER = f"self.all(name, name.matches(r'{PARAMETER}'))"
_PARAMETER_WANTED = (
    "a setting's name is that of a parameter of PostgreSQL's, such as maintenance_work_mem"
)
_HAS_NO_FIELD = "!self.exists(name, name in ['lock_timeout', 'statement_timeout'])"
_FIELD_WANTED = (
    "lock_timeout and statement_timeout have fields of their own: execution.lockTimeout and "
    "execution.statementTimeout"
)


class Execution(ApiModel):
    """How a run behaves."""

    lock_timeout: Duration = "2s"
    """How long a statement may wait for a lock on a table before its transaction is given up and
    tried again, so that it never queues the application behind itself."""

    lock_retries: Annotated[int, Field(ge=0, le=10000)] = 20
    """How often a run tries such a transaction again by itself, with growing pauses."""

    lock_retry_timeout: Duration = "5m"
    """How long it tries, counted from a file's first try; 0s is without limit. Then the run has
    failed, as a transient fault that retryLimit counts."""

    statement_timeout: Duration = "0s"
    """How long one statement may run; 0s is without limit."""

    settings: Annotated[
        dict[str, Annotated[str, StringConstraints(max_length=1000)]],
        Field(
            max_length=64,
            json_schema_extra=cel({_IS_PARAMETER: _PARAMETER_WANTED, _HAS_NO_FIELD: _FIELD_WANTED}),
        ),
    ] = {}
    """Parameters of the server for the migrations, by name, such as maintenance_work_mem: "1GB".
    A file's own header rules over them. The server judges them before anything runs."""

    advisory_lock_timeout: Duration = "10m"
    """How long a run waits for another runner's advisory lock on the same database."""

    transaction: Literal["File", "All"] = "File"
    """Commit each file by itself, together with its row in the history; or all pending files as
    one transaction, all of them or none. All refuses files that cannot run in a transaction."""

    out_of_order: Literal["Refuse", "Warn", "Allow"] = "Refuse"
    """What is done about a pending file that is older than the current version: refuse the run,
    run the file with a warning, or without one."""

    database_ahead: Literal["Refuse", "Warn"] = "Refuse"
    """What is done about a database with newer versions than the source has, as when an
    application was rolled back: refuse the run, or take the database for migrated."""

    foreign_history: Literal["Refuse", "Ignore"] = "Refuse"
    """What is done about a database that Flyway or another tool has migrated and dbmigrate has
    not: refuse the run, or take the other tool's tables for another application's."""

    active_deadline_seconds: Annotated[int, Field(ge=1, le=604800)] = 86400
    """How long a Job may run before it is ended; its open transaction is then undone."""

    retry_limit: Annotated[int, Field(ge=0, le=100)] = 10
    """How often a transient fault (connection lost, lock timeout, deadlock, eviction) is tried
    again by itself, with growing pauses. What fails before the first statement (unknown host,
    login, missing Secret) is tried again without a limit, at most five minutes apart."""
