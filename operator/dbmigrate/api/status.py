"""How a DatabaseMigration stands: the models of its status.

They are part of the source of the CRD in ``crds/`` (see `dbmigrate.api.crd`): a field's docstring
is its description there. All of it can be rebuilt from the database.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from dbmigrate.api.base import ApiModel


class Condition(ApiModel):
    """One condition, as in the Kubernetes API conventions."""

    type: Annotated[str, StringConstraints(max_length=64)]
    """Kind of the condition, such as Ready."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    """One word why."""
    message: Annotated[str, StringConstraints(max_length=1024)] = ""
    """A sentence why, and what to do next."""
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """When its status last changed."""
    observed_generation: int | None = None
    """The generation of the spec that it speaks of."""


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
