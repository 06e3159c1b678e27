"""The resource `DatabaseMigration`: which database, which files, which rules.

These models are the source of the CRD in ``crds/`` (see `dbmigrate.api.crd`): a field's
docstring is its description there, and what `kubectl explain` shows. A field is here
only when the operator acts upon it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from dbmigrate.api.base import PATTERN_MESSAGE, ApiModel
from dbmigrate.api.checks import IntegrityCheck
from dbmigrate.api.status import DatabaseMigrationStatus

DURATION = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
SOURCE_FILE = (
    r"^((rollbacks/|verify/)?v[0-9]+\.[0-9]+\.[0-9]+_[A-Za-z0-9][A-Za-z0-9_.-]*"
    r"|repeatable/[A-Za-z0-9_][A-Za-z0-9_.-]*)\.sql$"
)
SIZE = r"^[0-9]{1,9}(Ki|Mi|Gi|Ti)$"
PARAMETER = r"^[A-Za-z_][A-Za-z0-9_$.]{0,126}$"


def _matching(pattern: str, message: str) -> Any:
    """A pattern that the API server explains by a sentence, not by the pattern itself."""
    return Field(pattern=pattern, json_schema_extra={PATTERN_MESSAGE: message})


Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    _matching(
        r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        "a name has lower-case letters, digits, '-' and '.', and begins and ends with a letter "
        "or digit",
    ),
]
Duration = Annotated[
    str,
    StringConstraints(max_length=32),
    _matching(DURATION, "a duration is written like 500ms, 30s, 5m or 1h30m"),
]
Quantity = Annotated[
    str | int,
    Field(json_schema_extra={"x-kubernetes-int-or-string": True}),
]
Labels = Annotated[
    dict[str, Annotated[str, StringConstraints(max_length=63)]], Field(max_length=32)
]


class LocalReference(ApiModel):
    """Names an object in the resource's own namespace."""

    name: Name
    """Name of the object."""


class Database(ApiModel):
    """The database to migrate."""

    secret_ref: LocalReference
    """Secret that tells how to connect: one key `uri`, or `host`, `port`, `dbname` (or
    `database`), `user` (or `username`), `password`, `sslmode` and libpq's other keywords, as
    CloudNativePG and the Service Binding specification write them. Only the Job's pod reads it;
    the operator never does."""

    history_schema: Annotated[
        str,
        StringConstraints(min_length=1, max_length=63),
        Field(
            pattern=r"^[a-z_][a-z0-9_]*$",
            json_schema_extra={
                PATTERN_MESSAGE: "a schema's name has lower-case letters, digits and '_', and "
                "begins with no digit",
                "x-kubernetes-validations": [
                    {
                        "rule": "self == oldSelf",
                        "message": "historySchema cannot be changed: another schema has another "
                        "history, and every migration would run again",
                    },
                    {
                        "rule": "!self.startsWith('pg_')",
                        "message": "a schema whose name begins with pg_ is PostgreSQL's own",
                    },
                ],
            },
        ),
    ] = "public"
    """Schema of the database that holds the history table `schema_migrations` and the other
    bookkeeping. It must exist. It cannot be changed later."""


class ConfigMapSource(ApiModel):
    """A ConfigMap with files of SQL."""

    name: Name
    """Name of the ConfigMap. Its keys that end in `.sql` are the files."""

    path: Literal["", "rollbacks", "repeatable", "verify"] = ""
    """Folder that its files stand in, or empty for the top. A rollback that is named
    vX.Y.Z_rollback.sql or vX.Y.Z_rollback_name.sql is recognised at the top too. Files of
    `repeatable` run whenever they have changed; those of `verify` are named
    vX.Y.Z_name.sql and judge the migration of that version."""


class Source(ApiModel):
    """Where the migrations come from; all parts are merged, no file name may come twice."""

    config_maps: Annotated[
        tuple[ConfigMapSource, ...],
        Field(
            max_length=32,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name", "path"],
            },
        ),
    ] = ()
    """ConfigMaps that hold the files. A change in one of them is noticed by itself."""

    inline: Annotated[
        dict[str, Annotated[str, StringConstraints(min_length=1, max_length=65536)]],
        Field(
            max_length=64,
            json_schema_extra={
                "x-kubernetes-validations": [
                    {
                        "rule": f"self.all(file, file.matches(r'{SOURCE_FILE}'))",
                        "message": "file names are vMAJOR.MINOR.PATCH_name.sql, "
                        "vX.Y.Z_rollback_name.sql for a rollback, repeatable/name.sql or "
                        "verify/vX.Y.Z_name.sql",
                    }
                ]
            },
        ),
    ] = {}
    """Files written in the resource itself, by file name; for small ones (192 KiB in all). A name
    may begin with one of the folders `rollbacks/`, `repeatable/` and `verify/`."""

    revision: (
        Annotated[
            str,
            StringConstraints(max_length=64),
            _matching(
                r"^[A-Za-z0-9][A-Za-z0-9._/-]*$",
                "a revision is a Git commit, such as 4f2c9d1, or a tag",
            ),
        ]
        | None
    ) = None
    """Git commit that the files come from, recorded as git_commit_hash in the history."""

    model_config = {
        "json_schema_extra": {
            "x-kubernetes-validations": [
                {
                    "rule": "(has(self.configMaps) && size(self.configMaps) > 0) || "
                    "(has(self.inline) && size(self.inline) > 0)",
                    "message": "name at least one ConfigMap in configMaps, or a file in inline",
                }
            ]
        }
    }


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
            json_schema_extra={
                "x-kubernetes-validations": [
                    {
                        "rule": f"self.all(name, name.matches(r'{PARAMETER}'))",
                        "message": "a setting's name is that of a parameter of PostgreSQL's, such "
                        "as maintenance_work_mem",
                    },
                    {
                        "rule": "!self.exists(name, name in ['lock_timeout', 'statement_timeout'])",
                        "message": "lock_timeout and statement_timeout have fields of their own: "
                        "execution.lockTimeout and execution.statementTimeout",
                    },
                ]
            },
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


class Rollback(ApiModel):
    """What becomes of the data that a rollback loses: tables, columns, rows."""

    keep_data: bool = True
    """Try each rollback first, and keep in the database (table rollback_data_log) what it loses."""

    keep_limit: Annotated[
        str,
        StringConstraints(max_length=11),
        _matching(SIZE, "a size is written like 512Ki, 256Mi or 2Gi"),
    ] = "256Mi"
    """Refuse a rollback file that loses more than this, as stored on disk."""

    backup_covers: (
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=200),
            _matching(r"[^ ]", "name the backup: it is written down"),
        ]
        | None
    ) = None
    """Name of a backup that has what is lost: above keepLimit it is then lost without being kept.
    The name is recorded with each such loss. Take it away when the rollback is done."""


LintRuleLevel = Literal["Ignore", "Report", "Refuse"]


class Lint(ApiModel):
    """What comes of what the linter finds in pending files: long locks, rewrites, lost data."""

    level: LintRuleLevel = "Report"
    """Refuse stops a run before anything is touched when a finding's own rule is to refuse; Report
    only tells findings, in the status and by an Event; Ignore looks for none."""

    rules: Annotated[dict[str, LintRuleLevel], Field(max_length=100)] = {}
    """Levels of single rules of squawk, by name such as ban-drop-column, over the runner's own.
    docs/lint.md lists them."""


class ResourceRequirements(ApiModel):
    """What the runner's container asks for and may use."""

    requests: Annotated[dict[str, Quantity], Field(max_length=16)] = {}
    """Least amounts, by resource name, such as cpu and memory."""

    limits: Annotated[dict[str, Quantity], Field(max_length=16)] = {}
    """Greatest amounts, by resource name."""


class Toleration(ApiModel):
    """A taint that the Job's pod tolerates."""

    key: Annotated[str, StringConstraints(max_length=316)] | None = None
    """Key of the taint; empty with operator Exists means all."""
    operator: Literal["Exists", "Equal"] | None = None
    """How key and value are compared."""
    value: Annotated[str, StringConstraints(max_length=63)] | None = None
    """Value of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; empty means all."""
    toleration_seconds: Annotated[int, Field(ge=0)] | None = None
    """How long a NoExecute taint is tolerated, in seconds."""


class JobTemplate(ApiModel):
    """What the Job's pod gets beside what the operator decides."""

    image: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = None
    """Image of the runner; the operator's own when not given."""

    image_pull_secrets: Annotated[tuple[LocalReference, ...], Field(max_length=8)] = ()
    """Secrets for pulling the image."""

    service_account_name: Name | None = None
    """Service account of the pod, for cloud identities; its token is not mounted."""

    resources: ResourceRequirements | None = None
    """Requests and limits of the runner's container; the operator's defaults when not given."""

    node_selector: Labels = {}
    """Labels that the node must have."""

    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=16)] = ()
    """Taints that the pod tolerates."""

    priority_class_name: Name | None = None
    """Priority class of the pod."""

    labels: Labels = {}
    """Further labels of the pod, for network policies and cost reports."""

    annotations: Annotated[
        dict[str, Annotated[str, StringConstraints(max_length=4096)]], Field(max_length=32)
    ] = {}
    """Further annotations of the pod, such as sidecar.istio.io/inject."""


class DatabaseMigrationSpec(ApiModel):
    """What is wanted of the database."""

    environment: Annotated[
        str,
        StringConstraints(min_length=1, max_length=63),
        Field(
            pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
            json_schema_extra={
                PATTERN_MESSAGE: "an environment's name has lower-case letters, digits and '-', "
                "such as production",
                "x-kubernetes-validations": [
                    {
                        "rule": "self == oldSelf",
                        "message": "environment cannot be changed: the database is pinned to it",
                    }
                ],
            },
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
        _matching(
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
        _matching(
            r"^(never|([0-9]+(\.[0-9]+)?(s|m|h))+)$", "an interval is never, or like 30m, 1h or 24h"
        ),
    ] = "1h"
    """How often a short status Job asks the database where it stands, so that a restored database
    does not keep yesterday's version in the status; or `never`."""

    job_template: JobTemplate = JobTemplate()
    """What the Job's pod gets beside what the operator decides."""


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
