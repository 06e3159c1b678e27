"""Rules for making a plan: what is done about a history that does not simply end where it should.

A rule's values are spelt the same on the command line, in an environment's file and in a
manifest. What they decide is decided by `dbmigrate.migrations.plan`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OutOfOrder(StrEnum):
    """What is done about a pending migration that is older than the current version."""

    REFUSE = "refuse"
    """Nothing runs; the default."""
    WARN = "warn"
    """It runs in its version's place of the plan, with a warning."""
    ALLOW = "allow"
    """It runs, and the plan alone shows it."""


class DatabaseAhead(StrEnum):
    """What is done about a database that has newer versions than the source."""

    REFUSE = "refuse"
    """Nothing runs; the default."""
    WARN = "warn"
    """It counts as migrated, with a warning: the application fits newer schemas too."""


class ForeignHistory(StrEnum):
    """What is done about a database that another tool has migrated, and dbmigrate has not."""

    REFUSE = "refuse"
    """Nothing runs: its schema is there already; the default."""
    IGNORE = "ignore"
    """Everything runs: the other tool's tables are another application's."""


@dataclass(frozen=True, slots=True)
class PlanRules:
    """The rules of one run."""

    out_of_order: OutOfOrder = OutOfOrder.REFUSE
    database_ahead: DatabaseAhead = DatabaseAhead.REFUSE
    foreign_history: ForeignHistory = ForeignHistory.REFUSE
