"""When something is tried again, and how long to wait before.

Three kinds of ends: one that stays until a person changes something; a transient one, which is
tried again up to `execution.retryLimit`; and one from before the first statement (database out
of reach, credentials), which is tried for ever, because nobody tells the operator when a Secret
or a database was mended.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from enum import StrEnum

from dbmigrate.api.report.outcome import Outcome
from dbmigrate.api.status.run import FailureStatus, RunStatus

LOST = "Lost"
"""Outcome of a run whose result nobody could read."""
OUTDATED = "Outdated"
"""Outcome of a run that succeeded, and whose work the database has since lost."""

_FIRST_PAUSE = 2.0
_LONGEST_PAUSE = 300.0
_JITTER = 0.2

CONNECTION_CODES = frozenset(
    {
        "InvalidDatabaseUri",
        "InvalidSecret",
        "NoDatabase",
        "SecretIncomplete",
        "SecretNotFound",
    }
)
"""Failures of the connection's description: the Secret may be mended at any time."""

SOURCE_CHANGED = "SourceChanged"
"""The runner's mount does not hold the files that the operator saw: kubelet was behind, or they
changed in between."""


class Retry(StrEnum):
    """How a run's end is followed up."""

    NEVER = "Never"
    LIMITED = "Limited"
    ALWAYS = "Always"
    AT_ONCE = "AtOnce"


def retry_of(outcome: str | None, failure: FailureStatus | None) -> Retry:
    """How to go on after a run that ended so.

    Args:
        outcome: an `Outcome`, or `LOST`, `OUTDATED`.
        failure: why, if it failed.
    """
    if outcome in (Outcome.STOPPED, OUTDATED):
        return Retry.AT_ONCE
    if outcome in (Outcome.INTERRUPTED, LOST):
        return Retry.LIMITED
    if outcome == Outcome.SUCCEEDED or failure is None:
        return Retry.NEVER
    if failure.code in CONNECTION_CODES or failure.code == SOURCE_CHANGED:
        return Retry.ALWAYS
    if failure.transient:
        return Retry.LIMITED if failure.touched else Retry.ALWAYS
    return Retry.NEVER


def is_exhausted(run: RunStatus, failure: FailureStatus | None, limit: int) -> bool:
    """Whether the retries of `execution.retryLimit` are used up by this run."""
    return retry_of(run.outcome, failure) is Retry.LIMITED and run.retries_used > limit


def pause(uid: str, run: RunStatus) -> timedelta:
    """How long to wait after this attempt: 2 s, 4 s, 8 s … 5 min, a fifth more or less.

    The jitter comes from the resource and the run, so that deciding twice gives the same.
    """
    seconds = min(_FIRST_PAUSE * 2.0 ** min(run.attempt - 1, 10), _LONGEST_PAUSE)
    digest = hashlib.sha256(f"{uid}/{run.run}".encode()).digest()
    share = int.from_bytes(digest[:4], "big") / 0xFFFFFFFF
    return timedelta(seconds=min(seconds * (1 + _JITTER * (2 * share - 1)), _LONGEST_PAUSE))
