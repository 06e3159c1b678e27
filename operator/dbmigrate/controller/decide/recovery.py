"""What a status Job's answer proves about the run before it.

Proofs lean to "no": without one the migration runs again, which is always safe, because the
runner applies nothing twice.
"""

from __future__ import annotations

from dbmigrate.api.report.outcome import Outcome
from dbmigrate.api.report.result import RunResult
from dbmigrate.api.status.run import RunStatus
from dbmigrate.controller.decide.facts import EMPTY_DATABASE
from dbmigrate.controller.decide.retry import LOST, OUTDATED
from dbmigrate.controller.decide.source import SourceView

LATEST = "latest"


def verdict(run: RunStatus, target: str, source: SourceView, result: RunResult) -> str:
    """The outcome of the last run, now that the database has answered."""
    if run.outcome == LOST:
        proved = is_proved(target, source, result)
        return (Outcome.SUCCEEDED if proved else Outcome.INTERRUPTED).value
    if run.outcome == Outcome.SUCCEEDED and has_lost(target, source, result):
        return OUTDATED
    return run.outcome or LOST


def is_proved(target: str, source: SourceView, result: RunResult) -> bool:
    """The database is where this source and target want it, file by file."""
    if result.outcome is not Outcome.SUCCEEDED or not result.database_known or result.truncated:
        return False
    if result.unfinished is not None or _waits(target, source, result):
        return False
    current = result.current_version or EMPTY_DATABASE
    if target == LATEST:
        if result.pending or source.latest is None or current != str(source.latest):
            return False
    elif current != target.removeprefix("v"):
        return False
    return all(
        source.checksums.get(record.file.rpartition("/")[2]) == record.checksum
        for record in result.history
    )


def has_lost(target: str, source: SourceView, result: RunResult) -> bool:
    """The database is no longer where a succeeded run left it."""
    if _waits(target, source, result):
        return True
    if target == LATEST:
        return result.pending > 0
    return (result.current_version or EMPTY_DATABASE) != target.removeprefix("v")


def _waits(target: str, source: SourceView, result: RunResult) -> bool:
    """Repeatable files wait that a run would have run: they do with a target below the newest."""
    is_newest = source.latest is None or target.removeprefix("v") == str(source.latest)
    return (target == LATEST or is_newest) and bool(result.repeatables_due)
