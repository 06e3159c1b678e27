"""Every fixed name of the API: group, labels, annotations, phases, condition types, reasons.

A name that users or other programs meet stands here once. Each reason has a
sentence that tells the reader what to do next.
"""

from __future__ import annotations

from enum import StrEnum

GROUP = "dbmigrate.dev"
VERSION = "v1alpha1"
KIND = "DatabaseMigration"
PLURAL = "databasemigrations"

LABEL_NAME = "app.kubernetes.io/name"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_RESOURCE_UID = f"{GROUP}/uid"
LABEL_ACTION = f"{GROUP}/action"
LABEL_GENERATION = f"{GROUP}/generation"
LABEL_ATTEMPT = f"{GROUP}/attempt"
LABEL_RUN = f"{GROUP}/run"
"""Number of the Job among all of its resource: a result is booked once, in this order."""
LABEL_SOURCE = f"{GROUP}/source"
"""The first 63 digits of the source's digest (a label's value ends there); annotation holds all."""

ANNOTATION_RETRY = f"{GROUP}/retry"
"""A user's wish to try a failed migration again: any new value."""
ANNOTATION_CHECK = f"{GROUP}/check"
"""A user's wish to run the integrity checks now: any new value."""
ANNOTATION_SOURCE_DIGEST = f"{GROUP}/source-digest"
ANNOTATION_RETRIES_USED = f"{GROUP}/retries-used"
ANNOTATION_RESOURCE = f"{GROUP}/resource"
"""``namespace/name`` on a Job and its pod: whose they are."""
ANNOTATION_STOP = f"{GROUP}/stop"
"""On a Job's pod: stop after the running file; the value says why."""

MANAGER = "dbmigrate-operator"


class Action(StrEnum):
    """What a Job is for."""

    MIGRATE = "migrate"
    STATUS = "status"
    CHECK = "check"


class Phase(StrEnum):
    """One word for people: the STATUS column."""

    PENDING = "Pending"
    MIGRATING = "Migrating"
    ROLLING_BACK = "RollingBack"
    VERIFYING = "Verifying"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    BLOCKED = "Blocked"
    SUSPENDED = "Suspended"


class ConditionType(StrEnum):
    """Types of conditions. Ready, Reconciling and Stalled are kstatus's."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    INTEGRITY_HEALTHY = "IntegrityHealthy"


class Reason(StrEnum):
    """Why a condition is as it is. A failure's own code is a reason too."""

    UP_TO_DATE = "UpToDate"
    PENDING = "Pending"
    RUNNING = "Running"
    WAITING_FOR_LOCK = "WaitingForLock"
    WAITING_FOR_SOURCE = "WaitingForSource"
    WAITING_FOR_POD = "WaitingForPod"
    RETRYING = "Retrying"
    SOURCE_CHANGED = "SourceChanged"
    JOB_REFUSED = "JobRefused"
    DATABASE_CHANGED = "DatabaseChanged"
    INTERRUPTED = "Interrupted"
    STOPPING = "Stopping"
    SUSPENDED = "Suspended"
    MIGRATION_FAILED = "MigrationFailed"
    UNREACHABLE = "Unreachable"
    RETRIES_EXHAUSTED = "RetriesExhausted"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    RESULT_LOST = "ResultLost"
    INVALID_SPEC = "InvalidSpec"
    INVALID_SOURCE = "InvalidSource"
    SOURCE_TOO_LARGE = "SourceTooLarge"
    CHECKSUM_MISMATCH = "ChecksumMismatch"
    DATABASE_AHEAD = "DatabaseAhead"
    LINT_REFUSED = "LintRefused"
    HEALTHY = "Healthy"
    UNHEALTHY = "Unhealthy"
    NOT_CHECKED = "NotChecked"


NEXT_STEP: dict[str, str] = {
    Reason.MIGRATION_FAILED: (
        "Mend the file and apply the source again, or set the annotation "
        f"{ANNOTATION_RETRY} to a new value to run it as it is."
    ),
    Reason.RETRIES_EXHAUSTED: f"Mend the cause, then set the annotation {ANNOTATION_RETRY}.",
    Reason.UNREACHABLE: "It is tried again by itself; check host, credentials and the Secret.",
    Reason.WAITING_FOR_LOCK: (
        "It goes on by itself; a session in the way ends by pg_terminate_backend(PID)."
    ),
    Reason.WAITING_FOR_SOURCE: "Apply the missing ConfigMap; it is noticed by itself.",
    Reason.WAITING_FOR_POD: "kubectl describe pod shows why; it goes on by itself once mended.",
    Reason.JOB_REFUSED: "It is tried again by itself; check quotas and admission policies.",
    Reason.INVALID_SPEC: "Correct the manifest and apply it again.",
    Reason.INVALID_SOURCE: "Correct the files and apply the source again.",
    Reason.SOURCE_TOO_LARGE: "Move inline SQL into ConfigMaps.",
    Reason.CHECKSUM_MISMATCH: (
        "Restore the file as it was applied and put the change into a new migration."
    ),
    Reason.DATABASE_AHEAD: (
        "Deploy the newer source, or set spec.targetVersion to roll back on purpose."
    ),
    Reason.LINT_REFUSED: (
        "Mend the file; where it is meant, say so by a squawk-ignore comment, or in spec.lint."
    ),
    Reason.DEADLINE_EXCEEDED: (
        f"Raise spec.execution.activeDeadlineSeconds, or set the annotation {ANNOTATION_RETRY}."
    ),
    Reason.SUSPENDED: "Set spec.suspend to false to go on.",
}
"""What to do next, for the reasons that ask something of a person."""
