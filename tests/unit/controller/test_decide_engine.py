"""What the engine tells beside versions: files in part, repeatable files, kept data, advice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.controller.situations import (
    BOTH,
    FILES,
    NOON,
    SUM_3,
    after_run,
    apply,
    condition,
    config_map,
    digest,
    ended,
    finish,
    job_of,
    later,
    observed,
    record,
    settled,
    spec,
    standing,
    succeeded,
)

from dbmigrate.api.failure import failure_of
from dbmigrate.api.report.history import MigrationRecord, UnfinishedFile
from dbmigrate.api.report.kept import KeptData
from dbmigrate.api.report.outcome import Failure, Outcome
from dbmigrate.api.report.plan import Direction
from dbmigrate.api.report.result import RunResult
from dbmigrate.controller.decide import decide
from dbmigrate.controller.decide.advice import advice
from dbmigrate.controller.observation import Observation
from dbmigrate.controller.timestamps import format_precise
from dbmigrate.errors import RefusedError

PART = UnfinishedFile(
    version="1.1.0",
    file="v1.1.0_users.sql",
    direction=Direction.FORWARD,
    statements_done=2,
    statement_in_doubt=3,
    statement="call move_users()",
    applied_by="shop/exams",
)
VIEWS = MigrationRecord(
    version="",
    file="repeatable/views.sql",
    checksum=SUM_3,
    type=Direction.REPEATABLE,
    status="completed",
    applied_at="2026-06-01T12:00:00Z",
)


def known(result: RunResult, **changes: object) -> RunResult:
    """A result of a run that has asked the database."""
    return replace(result, database_known=True, current_version="1.0.0", pending=1, **changes)


def with_views(checksum: str, path: str = "repeatable") -> Observation:
    """The resource with a second ConfigMap of one file."""
    maps = [{"name": "exams-sql"}, {"name": "exams-views", "path": path}]
    name = "views.sql" if path == "repeatable" else "v1.1.0_views.sql"
    return observed(
        spec=spec(source={"configMaps": maps}),
        config_maps=(config_map(), config_map((name, checksum), name="exams-views")),
    )


def run_of(first: Observation, result: RunResult) -> Observation:
    """The resource whose first Job has ended so and is booked."""
    decision = decide(first)
    running = apply(first, decision)
    done = replace(running, jobs=(finish(job_of(decision), result),))
    return replace(done, status=decide(done).status)


# -- a file in part


def test_a_file_in_part_is_in_the_status_and_the_message() -> None:
    """With how far it is, and what to do, including how to go on in a cluster."""
    failure = Failure(
        "StatementInDoubt",
        "v1.1.0_users.sql:7:1: nothing tells whether it has taken effect",
        hint="look for yourself, then say `dbmigrate resolve done`",
        file="v1.1.0_users.sql",
        line=7,
    )
    blocked = replace(ended(Outcome.BLOCKED), failure=failure, exit_code=3)
    status = decide(after_run(known(blocked, unfinished=PART))).status
    assert status.unfinished is not None
    assert status.unfinished.model_dump() == {
        "file": "v1.1.0_users.sql",
        "version": "1.1.0",
        "direction": "forward",
        "statements_done": 2,
        "statement_in_doubt": 3,
        "statement": "call move_users()",
        "applied_by": "shop/exams",
    }
    assert standing(status) == ("Blocked", "Failed", "StatementInDoubt")
    message = status.message or ""
    assert "Look for yourself, then say `dbmigrate resolve done`" in message
    assert "then set the annotation dbmigrate.dev/retry" in message
    assert message.endswith(
        "(v1.1.0_users.sql is applied in part, 2 of its statements, and statement 3 is in doubt)"
    )
    assert message in {each.message for each in status.conditions}


@pytest.mark.parametrize("code", ["StatementInDoubt", "UnfinishedMigration", "LedgerDiffers"])
def test_what_a_person_must_decide_is_never_tried_again_by_itself(code: str) -> None:
    """Not after a month either."""
    seen = settled(known(ended(Outcome.BLOCKED, code, touched=True), unfinished=PART))
    assert condition(seen.status, "Stalled") == ("True", code)
    after = decide(later(seen, days=30))
    assert after.create is None or after.create.action.value == "status"


def test_a_finished_file_leaves_the_status() -> None:
    """By the next result that has asked the database; one that has not says nothing of it."""
    seen = settled(known(ended(Outcome.FAILED, "ConnectionLost", transient=True), unfinished=PART))
    assert seen.status.unfinished is not None
    again = later(seen, minutes=10)
    decision = decide(again)
    running = apply(again, decision)
    job = job_of(decision, at=again.now)
    silent = finish(job, ended(Outcome.FAILED, "Unreachable", transient=True))
    status = decide(replace(running, jobs=(*seen.jobs, silent))).status
    assert status.unfinished is not None
    whole = finish(job, succeeded(finished_at=format_precise(again.now)))
    status = decide(replace(running, jobs=(*seen.jobs, whole))).status
    assert status.unfinished is None
    assert standing(status)[0] == "Succeeded"


def test_a_suspended_resource_tells_that_a_file_is_in_part() -> None:
    """It must not look like a database in order."""
    seen = settled(known(ended(Outcome.FAILED, "MigrationFailed", touched=True), unfinished=PART))
    suspended = replace(seen, spec=spec(suspend=True), generation=2)
    status = decide(suspended).status
    assert status.phase == "Suspended"
    assert "applied in part" in (status.message or "")


def test_a_lost_result_proves_nothing_while_a_file_is_in_part() -> None:
    """The status Job's answer leads to another run."""
    lost = _lost(observed())
    answered = _answered(lost, succeeded(command="status", unfinished=PART))
    assert decide(answered).status.phase != "Succeeded"
    whole = _answered(lost, succeeded(command="status"))
    assert decide(whole).status.phase == "Succeeded"


# -- another session's doing


@pytest.mark.parametrize("code", ["IndexBeingBuilt", "LockLost"])
def test_what_another_session_does_ends_by_itself(code: str) -> None:
    """Refused now, and tried again without anybody's doing."""
    failure = failure_of(RefusedError("busy", code=code), touched=False)
    assert failure.transient
    seen = settled(known(replace(ended(Outcome.BLOCKED), failure=failure)))
    assert standing(seen.status) == ("Pending", "InProgress", code)
    assert decide(later(seen, minutes=10)).create is not None


# -- repeatable files


def test_repeatable_files_are_told_by_name_and_are_no_migrations_of_the_status() -> None:
    """Also when the short form of the result leaves the history out."""
    result = succeeded(applied=(*BOTH, VIEWS), history=(), truncated=True)
    decision = decide(after_run(result))
    assert [each.version for each in decision.status.migrations] == ["1.0.0", "1.1.0"]
    (event,) = decision.events
    assert event.message == ("applied 1.0.0, 1.1.0, repeatable/views.sql; the database is at 1.1.0")


def test_a_run_of_repeatable_files_alone_is_told() -> None:
    """Nothing else was pending."""
    decision = decide(after_run(succeeded(applied=(VIEWS,))))
    (event,) = decision.events
    assert event.reason == "Migrated"
    assert event.message == "applied repeatable/views.sql; the database is at 1.1.0"


@pytest.mark.parametrize("path", ["repeatable", "verify"])
def test_a_changed_file_beside_the_migrations_leads_to_a_run(path: str) -> None:
    """It is another source; nothing runs while it stays the same."""
    first = with_views("a" * 64, path)
    seen = run_of(first, succeeded(source_digest=digest(first)))
    assert standing(seen.status)[0] == "Succeeded"
    assert decide(later(seen, minutes=1)).create is None
    changed = replace(seen, config_maps=with_views("b" * 64, path).config_maps)
    made = decide(later(changed, minutes=1)).create
    assert made is not None
    assert made.action.value == "migrate"


def test_a_lost_result_proves_nothing_while_repeatable_files_are_due() -> None:
    """Versions alone do not tell that they have run."""
    lost = _lost(observed())
    due = succeeded(command="status", repeatables_due=("repeatable/views.sql",))
    assert decide(_answered(lost, due)).status.phase != "Succeeded"


@pytest.mark.parametrize("target", ["latest", "1.1.0"])
def test_a_restored_database_whose_repeatable_files_are_old_is_migrated_again(target: str) -> None:
    """Its version is right, and its views are yesterday's."""
    seen = settled(spec=spec(targetVersion=target))
    asking = later(seen, hours=2)
    decision = decide(_answered(asking, _due_at(asking, "1.1.0")))
    assert "DatabaseChanged" in {each.reason for each in decision.events}


def test_repeatable_files_wait_with_a_target_below_the_newest() -> None:
    """They are due and must not run: no run is begun for them, again and again."""
    seen = settled(
        succeeded(current_version="1.0.0", history=BOTH[:1], history_total=1),
        spec=spec(targetVersion="1.0.0"),
    )
    asking = later(seen, hours=2)
    decision = decide(_answered(asking, _due_at(asking, "1.0.0")))
    assert not decision.events
    assert decision.create is None


# -- what rollbacks lose


def test_what_a_rollback_kept_is_told() -> None:
    """So that whoever rolled back knows where the data are."""
    kept = KeptData("1.1.0", "public", "users", "columns", ("zone", "age"), rows=12, set_id=3)
    back = record("1.1.0", FILES[1][1], type=Direction.ROLLBACK)
    result = succeeded(applied=(back,), kept=(kept,), current_version="1.0.0")
    events = decide(after_run(result)).events
    assert [(each.type.value, each.reason) for each in events] == [
        ("Normal", "RolledBack"),
        ("Normal", "DataKept"),
    ]
    assert events[1].message == (
        "the database keeps what the rollback removed: columns of public.users (zone, age), "
        "12 rows; `dbmigrate kept restore` puts it back (1.1.0)"
    )


def test_what_a_backup_is_said_to_cover_is_a_warning() -> None:
    """It is gone from the database."""
    gone = KeptData("1.1.0", "public", "users", "table", rows=1, covered_by="base-7")
    back = record("1.1.0", FILES[1][1], type=Direction.ROLLBACK)
    events = decide(after_run(succeeded(applied=(back,), kept=(gone,)))).events
    assert (events[1].type.value, events[1].reason) == ("Warning", "DataNotKept")
    assert "table of public.users, 1 row; the backup base-7 is said to have it" in events[1].message


# -- where and what to do


@pytest.mark.parametrize(
    "message",
    ["verify/v1.1.0_rows.sql: it is empty", "verify/v1.1.0_rows.sql:3: it is empty", "it is empty"],
)
def test_file_and_line_are_told_once(message: str) -> None:
    """In the message and the Event, whatever the runner's own sentence begins with."""
    failure = Failure("VerifyFailed", message, file="/source/1/verify/v1.1.0_rows.sql", line=3)
    decision = decide(after_run(replace(ended(Outcome.FAILED), failure=failure)))
    assert decision.status.message == "verify/v1.1.0_rows.sql:3: it is empty"
    assert [each.message for each in decision.events] == [decision.status.message]


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        (
            "name it by --backup-covers NAME; or raise --keep-limit",
            "name it by spec.rollback.backupCovers; or raise spec.rollback.keepLimit",
        ),
        (
            "let it run late by --out-of-order warn",
            "let it run late by spec.execution.outOfOrder: Warn",
        ),
        ("run without --transaction all", "run with spec.execution.transaction: File"),
        ("else `dbmigrate to 1.5.0` undoes it", "else spec.targetVersion: 1.5.0 undoes it"),
        (
            "finish it by `dbmigrate down` to below 1.5.0",
            "finish it by a spec.targetVersion below 1.5.0",
        ),
        ("raise --lock-timeout", "raise spec.execution.lockTimeout"),
        ("raise --lock-retry-timeout", "raise spec.execution.lockRetryTimeout"),
        (
            "drop it, and run again",
            "drop it, and run again; then set the annotation dbmigrate.dev/retry to a new value",
        ),
        ("", ""),
    ],
)
def test_advice_speaks_of_fields_not_of_options(hint: str, told: str) -> None:
    """Nobody in a cluster types the runner's options."""
    assert advice(Failure("Code", "it is so", hint=hint)) == told


def test_advice_about_what_is_tried_again_anyway_asks_for_no_annotation() -> None:
    """The operator does it."""
    assert advice(Failure("C", "m", hint="run again later", transient=True)) == "run again later"


def _due_at(seen: Observation, version: str) -> RunResult:
    return succeeded(
        command="status",
        current_version=version,
        repeatables_due=("repeatable/views.sql",),
        finished_at=format_precise(seen.now),
    )


def _lost(first: Observation) -> Observation:
    """A resource whose run has ended without a word; the database is to be asked."""
    decision = decide(first)
    running = apply(first, decision)
    job = replace(job_of(decision), finished=True, pods=())
    return replace(running, jobs=(job,), now=NOON + timedelta(minutes=1))


def _answered(seen: Observation, result: RunResult) -> Observation:
    """The status Job that is due has run and told this."""
    decision = decide(seen)
    assert decision.create is not None
    assert decision.create.action.value == "status"
    running = apply(seen, decision)
    told = finish(job_of(decision, at=seen.now), result)
    return replace(running, jobs=(*seen.jobs, told))
