"""What is seen of one resource at one moment, as values.

`observe` makes them, `decide` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from dbmigrate.api.databasemigration import DatabaseMigrationSpec, DatabaseMigrationStatus
from dbmigrate.api.names import Action
from dbmigrate.api.report.plan import Direction
from dbmigrate.api.report.result import RunResult
from dbmigrate.api.status.progress import ProgressStatus


@dataclass(frozen=True, slots=True)
class ConfigMapView:
    """A ConfigMap that the resource names. Its contents are not kept, only their checksums."""

    name: str
    found: bool
    files: tuple[tuple[str, str], ...] = ()
    """Key and SHA-256 of each file of SQL, in the order of keys."""


@dataclass(frozen=True, slots=True)
class PodView:
    """A Job's pod, judged by its runner container: sidecars may outlive it."""

    name: str
    created_at: datetime
    started: bool = False
    """The runner's container has run, or runs."""
    ended: bool = False
    """The runner's container has terminated, or never will run."""
    exit_code: int | None = None
    ended_reason: str = ""
    """Kubernetes' own word for its end: OOMKilled, StartError, Evicted …"""
    waiting_reason: str = ""
    """Why it has not started: ImagePullBackOff, CreateContainerConfigError, FailedMount …"""
    waiting_message: str = ""
    disrupted: bool = False
    """Evicted, preempted or its node is gone: the DisruptionTarget condition."""
    deleting: bool = False
    stop_reason: str = ""
    """What the stop annotation says; empty when it is not set."""


@dataclass(frozen=True, slots=True)
class LiveProgress:
    """What a running Job has told in its log so far."""

    status: ProgressStatus
    direction: Direction = Direction.FORWARD
    waiting: str = ""
    """Whom it waits for (another runner's advisory lock, a table's lock), or empty."""


@dataclass(frozen=True, slots=True)
class JobPurpose:
    """What a Job is made for. Its labels and annotations say it, so that it is known again."""

    name: str
    action: Action
    run: int
    """Its number among all Jobs of the resource, from 1."""
    attempt: int
    """Its number among the attempts at the same work, from 1."""
    retries_used: int
    generation: int
    source_digest: str
    requested: str | None
    """The value of the annotation that asked for it."""


@dataclass(frozen=True, slots=True)
class JobView(JobPurpose):
    """A Job of this resource, as it is seen."""

    created_at: datetime
    finished: bool = False
    """The Job itself is Complete or Failed."""
    deadline_exceeded: bool = False
    deleting: bool = False
    pods: tuple[PodView, ...] = ()
    result: RunResult | None = None
    """The runner's own word, from its log or its termination message."""
    progress: LiveProgress | None = None

    @property
    def over(self) -> bool:
        """Nothing of it runs, or will run."""
        if self.pods:
            return all(pod.ended for pod in self.pods)
        return self.finished

    @property
    def exit_code(self) -> int | None:
        """The runner's exit code as the container's state tells it."""
        codes = [pod.exit_code for pod in self.pods if pod.exit_code is not None]
        return codes[-1] if codes else None


@dataclass(frozen=True, slots=True)
class Observation:
    """All that a decision rests on."""

    now: datetime
    namespace: str
    name: str
    uid: str
    generation: int
    spec: DatabaseMigrationSpec | None
    """None when it does not fit the model."""
    spec_error: str = ""
    status: DatabaseMigrationStatus = field(default_factory=DatabaseMigrationStatus)
    retry: str | None = None
    """Value of the annotation dbmigrate.dev/retry."""
    check: str | None = None
    """Value of the annotation dbmigrate.dev/check."""
    deleting: bool = False
    config_maps: tuple[ConfigMapView, ...] = ()
    """In the order of spec.source.configMaps."""
    jobs: tuple[JobView, ...] = ()
    """Jobs that this resource owns, by `JobView.run`."""
    uncreated: str = ""
    """Name of the Job that this process wrote down and has not created yet: it may do so."""
    job_refused: str = ""
    """Why the API server would not take the Job of status.activeRun, when that was just tried."""
