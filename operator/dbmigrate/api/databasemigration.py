"""The resource `DatabaseMigration`: what is wanted of a database, and how it stands.

These models are the source of the CRD in ``crds/`` (see `dbmigrate.api.crd`): a field's
docstring is its description there, and what `kubectl explain` shows. A field is here
only when the operator acts upon it. Its parts are in `dbmigrate.api.spec` and
`dbmigrate.api.status`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from dbmigrate.api.base import ApiModel
from dbmigrate.api.checks import IntegrityCheck
from dbmigrate.api.spec.database import Database
from dbmigrate.api.spec.execution import Execution
from dbmigrate.api.spec.fields import matching
from dbmigrate.api.spec.jobtemplate import JobTemplate
from dbmigrate.api.spec.lint import Lint
from dbmigrate.api.spec.rollback import Rollback
from dbmigrate.api.spec.source import Source
from dbmigrate.api.status.condition import Condition
from dbmigrate.api.status.history import MigrationStatus, UnfinishedStatus
from dbmigrate.api.status.integrity import IntegrityStatus
from dbmigrate.api.status.lint import LintStatus
from dbmigrate.api.status.progress import ProgressStatus
from dbmigrate.api.status.run import FailureStatus, RunStatus


class DatabaseMigrationSpec(ApiModel):
    """What is wanted of the database."""

    environment: Annotated[
        str,
        StringConstraints(min_length=1, max_length=63),
        matching(
            r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
            "an environment's name has lower-case letters, digits and '-', such as production",
            {"self == oldSelf": "environment cannot be changed: the database is pinned to it"},
        ),
    ]
    """Name of the environment, such as development, staging or production. It is recorded with
    every migration; the database remembers it and refuses another's run."""

    database: Database
    """The database to migrate."""

    source: Source
    """Where the migrations come from."""

    target_version: Annotated[
        str,
        StringConstraints(max_length=40),
        matching(
            r"^(latest|0|v?(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*))$",
            "a target is latest, 0, or a version MAJOR.MINOR.PATCH such as 1.5.0",
        ),
    ] = "latest"
    """Version to be at: `latest`, or one such as 1.5.0, forward or back; 0 undoes everything."""

    suspend: bool = False
    """Start nothing new. A running file is finished first; the run stops after it."""

    execution: Execution = Execution()
    """How a run behaves: timeouts and retries."""

    rollback: Rollback = Rollback()
    """What becomes of the data that a rollback loses."""

    lint: Lint = Lint()
    """What comes of what the linter finds in pending files."""

    integrity_checks: Annotated[
        tuple[IntegrityCheck, ...],
        Field(
            max_length=50,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
        ),
    ] = ()
    """Checks of the data, run after each migration and when the annotation dbmigrate.dev/check
    gets a new value."""

    verify_interval: Annotated[
        str,
        StringConstraints(max_length=32),
        matching(
            r"^(never|([0-9]+(\.[0-9]+)?(s|m|h))+)$", "an interval is never, or like 30m, 1h or 24h"
        ),
    ] = "1h"
    """How often a short status Job asks the database where it stands, so that a restored database
    does not keep yesterday's version in the status; or `never`."""

    job_template: JobTemplate = JobTemplate()
    """What the Job's pod gets beside what the operator decides."""


class DatabaseMigrationStatus(ApiModel):
    """How it stands. All of it can be rebuilt from the database."""

    observed_generation: int | None = None
    """The generation of the spec that this status speaks of."""
    phase: str | None = None
    """One word for people: Pending, Migrating, RollingBack, Verifying, Succeeded, Failed, Blocked
    or Suspended."""
    message: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """A sentence for people."""
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            max_length=16,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
            },
        ),
    ] = ()
    """Ready, Reconciling and Stalled as kstatus reads them, and IntegrityHealthy."""
    current_version: str | None = None
    """Newest version that the database has; 0 when it has none; absent until it was asked."""
    target_version: str | None = None
    """Version that it is to be at."""
    pending: int | None = None
    """How many migrations are still to be applied or rolled back."""
    plan_hash: str | None = None
    """Hash of the plan of the last run."""
    source_digest: str | None = None
    """Digest of the source that this status speaks of."""
    verified_at: str | None = None
    """When the database was last asked."""
    progress: ProgressStatus | None = None
    """What the running Job is at."""
    active_run: RunStatus | None = None
    """The Job that should be running."""
    last_run: RunStatus | None = None
    """The migrating Job whose result was recorded last."""
    last_verification: RunStatus | None = None
    """The status or check Job whose result was recorded last."""
    next_attempt_at: str | None = None
    """When a failed run is tried again by itself."""
    failure: FailureStatus | None = None
    """Why the last run did not succeed."""
    unfinished: UnfinishedStatus | None = None
    """A file that is applied in part: nothing else runs on the database until it is finished."""
    migrations: Annotated[tuple[MigrationStatus, ...], Field(max_length=50)] = ()
    """The newest migrations that the database has, oldest first; the table schema_migrations has
    them all."""
    migrations_total: int | None = None
    """How many migrations the database has."""
    integrity: IntegrityStatus | None = None
    """What the integrity checks found."""
    lint: LintStatus | None = None
    """What the linter found in the files that the last migrating run was to apply."""


class DatabaseMigration(ApiModel):
    """A PostgreSQL database and the migrations that belong to it."""

    spec: DatabaseMigrationSpec
    """What is wanted of the database."""
    status: DatabaseMigrationStatus = DatabaseMigrationStatus()
    """How it stands."""

    model_config = {"extra": "ignore"}


def parse_spec(data: dict[str, Any]) -> DatabaseMigrationSpec:
    """The spec of a resource as the API server gives it.

    Raises:
        pydantic.ValidationError: it does not fit (an older CRD let something through).
    """
    return DatabaseMigrationSpec.model_validate(data)
