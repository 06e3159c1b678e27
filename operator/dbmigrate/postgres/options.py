"""What a run is asked to do, by whomever starts it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dbmigrate.api.rules import PlanRules
from dbmigrate.migrations.amend import Amend
from dbmigrate.migrations.version import Version
from dbmigrate.postgres.executing.retrying import LOCK_TIMEOUT, RETRIES, TIME_LIMIT
from dbmigrate.postgres.rollback.options import ALL_KEPT, KEEP, KeepOptions, KeptRequest

if TYPE_CHECKING:
    from dbmigrate.api.checks import IntegrityCheck
    from dbmigrate.postgres.linting import Linting


def _never() -> str | None:
    return None


ALL: Final = "all"
"""Of ``RunOptions.transaction``, and of ``transaction_mode`` in the history."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a run is asked to do. Durations are seconds; 0 means no limit."""

    command: str
    """``up``, ``down``, ``to``, ``status``, ``plan``, ``baseline`` …"""
    environment: str | None = None
    history_schema: str = "public"
    target: Version | None = None
    applied_by: str = ""
    git_commit: str | None = None
    expect_plan: str | None = None
    resource_uid: str | None = None
    resource_generation: int | None = None
    wait_lock: float = 60.0
    lock_timeout: float = LOCK_TIMEOUT
    lock_retries: int = RETRIES
    """How often a file is tried again that did not get a table's lock in that time."""
    lock_retry_timeout: float = TIME_LIMIT
    """From such a file's first try on, no try begins later."""
    statement_timeout: float = 0.0
    settings: Mapping[str, str] = field(default_factory=dict)
    """Run-time parameters of the server, for each file; its own header rules over them."""
    transaction: str = "file"
    """``file``: each file is committed by itself; ``all``: all files are, or none."""
    connect_timeout: float = 10.0
    checks: tuple[IntegrityCheck, ...] = ()
    stop_reason: Callable[[], str | None] = _never
    """Looked at before each file, while the one before it is not yet committed: a text ends the run
    behind that one."""
    linting: Linting | None = None
    """None: nothing is linted."""
    debug_queries: bool = False
    rules: PlanRules = field(default_factory=PlanRules)
    amend: Amend | None = None
    """For the commands that record without running anything."""
    keep: KeepOptions = KEEP
    """How the data that a rollback loses are treated."""
    kept: KeptRequest = ALL_KEPT
    """What is asked of what was kept."""

    @property
    def is_together(self) -> bool:
        """All files are one transaction."""
        return self.transaction == ALL
