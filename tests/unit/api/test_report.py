"""A result is read as it was written, and its short form keeps kubelet's limit, always."""

import dataclasses
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbmigrate.api.lint import LintFinding, LintGap, LintLevel, LintReport
from dbmigrate.api.report.codec import from_json, to_json
from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.history import MigrationRecord
from dbmigrate.api.report.integrity import IntegrityReport, IntegrityResult
from dbmigrate.api.report.lines import parse_result, result_line
from dbmigrate.api.report.outcome import Failure, Outcome
from dbmigrate.api.report.plan import Direction, PlanReport, PlanStep
from dbmigrate.api.report.result import RunResult
from dbmigrate.api.report.termination import TERMINATION_MESSAGE_LIMIT, termination_message

CHECKSUM = "ab" * 32
RESULT = RunResult(
    command="up",
    outcome=Outcome.SUCCEEDED,
    exit_code=0,
    finished_at="2026-01-01T00:00:00.000Z",
)
texts = st.text(st.characters(), max_size=20)  # lone surrogates too: what a file's name may hold


def record(number, text="v1_name.sql"):
    """One history row."""
    return MigrationRecord(
        version=f"1.{number}.0",
        file=text,
        checksum=CHECKSUM,
        type=Direction.FORWARD,
        status="completed",
        applied_at="2026-01-01T00:00:00Z",
        applied_by=text,
    )


def huge(text, count):
    """A result with `count` of everything, and that text wherever a text can be."""
    steps = tuple(PlanStep(f"1.{n}.0", text, CHECKSUM) for n in range(count))
    records = tuple(record(n, text) for n in range(count))
    checks = tuple(
        IntegrityResult(text, status, "critical", details=text, affected_records=9)
        for status in ("PASS", "FAIL") * count
    )
    return RunResult(
        command="up",
        outcome=Outcome.FAILED,
        exit_code=1,
        finished_at="2026-01-01T00:00:00.000Z",
        message=text,
        environment=text,
        current_version="1.4.0",
        database_known=True,
        target_version="1.5.0",
        pending=count,
        pending_versions=tuple(each.version for each in steps),
        source_digest=CHECKSUM,
        plan=PlanReport(Direction.FORWARD, "1.0.0", "1.5.0", CHECKSUM, steps),
        applied=records,
        history=records,
        history_total=count,
        failure=Failure(
            code="MigrationFailed", message=text, hint=text, version="1.5.0", file=text, line=3,
            column=14, excerpt=text, statement=2, sqlstate="42P01", detail=text,
            server_message=text, server_hint=text, touched=True,
        ),
        integrity=IntegrityReport(
            "2026-01-01T00:00:00Z", healthy=False, summary=text, critical_failures=count,
            results=checks,
        ),
        lint=LintReport(
            text, LintLevel.REFUSE, files=count, refusing=count, reported=count,
            findings=tuple(
                LintFinding(f"{level}-{n}", level, text, 1, 2, 3, 4, text, help=text, excerpt=text)
                for n in range(count) for level in (LintLevel.REPORT, LintLevel.REFUSE)
            ),
            gaps=(LintGap(text, text, 1, 1),) * count, gaps_total=count,
        ),
    )  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.builds(
        RunResult,
        command=texts,
        plan=st.none() | st.builds(PlanReport, from_version=st.none() | texts,
                                   to_version=st.none() | texts, hash=texts),
        failure=st.none() | st.builds(Failure, code=texts, message=texts),
        applied=st.lists(st.builds(MigrationRecord), max_size=2).map(tuple),
        history=st.just(()),
        integrity=st.none() | st.builds(IntegrityReport, results=st.lists(
            st.builds(IntegrityResult), max_size=2).map(tuple)),
        lint=st.none() | st.builds(
            LintReport, error=texts,
            findings=st.lists(st.builds(LintFinding), max_size=2).map(tuple),
            gaps=st.lists(st.builds(LintGap), max_size=2).map(tuple)),
    )
)  # fmt: skip
def test_a_result_reads_back_equal(result):
    """Through JSON, whatever is None, empty or full in it."""
    assert from_json(RunResult, json.loads(json.dumps(to_json(result)))) == result


def test_the_plan_of_an_empty_database_reads_back():
    """There is no version to come from, and the field is required."""
    plan = PlanReport(Direction.FORWARD, None, None, "")
    assert from_json(PlanReport, to_json(plan)) == plan


def test_the_last_line_reads_back():
    """The operator takes the result from it."""
    assert parse_result(result_line(huge("ü", 3))) == huge("ü", 3)


def test_keys_are_camel_case_and_empty_ones_left_out():
    """As a manifest writes them."""
    data = to_json(dataclasses.replace(RESULT, current_version="1.0.0"))
    assert data["currentVersion"] == "1.0.0"
    assert data["exitCode"] == 0
    assert data["databaseKnown"] is False
    assert not {"failure", "plan", "history", "message"} & data.keys()


def test_unknown_keys_are_ignored():
    """A newer runner may say more than an older operator knows."""
    data = {**to_json(RESULT), "event": "result", "later": {"x": 1}}
    assert from_json(RunResult, data) == RESULT


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("exitCode", "0"), ("exitCode", True), ("exitCode", None), ("outcome", "Fine"),
        ("history", {}), ("history", ["x"]), ("failure", "no"), ("command", 5),
        ("databaseKnown", 1),
    ],
)  # fmt: skip
def test_a_wrong_type_is_an_error_that_names_the_key(key, value):
    """A result that is guessed is worse than none."""
    with pytest.raises(ValueError, match=key):
        from_json(RunResult, {**to_json(RESULT), key: value})


@pytest.mark.parametrize("key", ["command", "outcome", "exitCode", "finishedAt"])
def test_a_missing_required_key_is_an_error(key):
    """It was cut, or is something else."""
    data = to_json(RESULT)
    del data[key]
    with pytest.raises(ValueError, match="RunResult"):
        from_json(RunResult, data)


@pytest.mark.parametrize(
    "line",
    [
        "", "no json", "[]", "null", "5", '{"event": "started"}', '{"event": "result"}',
        result_line(RESULT)[:-1], "[" * 50_000,
    ],
)  # fmt: skip
def test_a_line_that_is_no_result_is_none(line):
    """Logs hold other lines, and lines that were cut."""
    assert parse_result(line) is None


def test_a_small_result_is_sent_whole():
    """Nothing is left out that fits."""
    message = termination_message(RESULT)
    assert parse_result(message.decode()) == RESULT


@pytest.mark.parametrize("count", [0, 1, 5, 200])
@pytest.mark.parametrize(
    "text",
    ["short", "x" * 2000, "ü" * 2000, "🐘" * 2000, "\x00\x1f" * 1000, "\udcff" * 1000],
    ids=["short", "ascii", "two bytes", "four bytes", "escaped", "no UTF-8"],
)
def test_the_termination_message_keeps_its_limit(text, count):
    """The kubelet cuts at 4,096 bytes, and cut JSON is none; what decides is always there."""
    result = huge(text, count)
    message = termination_message(result)
    assert len(message) <= TERMINATION_MESSAGE_LIMIT
    read = parse_result(message.decode())
    assert read is not None
    assert (read.outcome, read.exit_code) == (result.outcome, result.exit_code)
    assert (read.current_version, read.target_version) == ("1.4.0", "1.5.0")
    assert read.pending == count
    assert read.failure.code == "MigrationFailed"
    assert (read.failure.version, read.failure.line, read.failure.column) == ("1.5.0", 3, 14)
    assert (read.failure.sqlstate, read.failure.statement) == ("42P01", 2)
    assert read.integrity.healthy is False
    assert (read.lint.refusing, read.lint.reported, read.lint.gaps_total) == (count,) * 3
    assert read.truncated == (read != result)


def test_the_history_is_left_out_first():
    """The database has it; the plan and the failure's words stay while they can."""
    result = dataclasses.replace(
        huge("text", 2), history=tuple(record(n) for n in range(50)), applied=()
    )
    read = parse_result(termination_message(result).decode())
    assert read.history == ()
    assert read.truncated
    assert read.plan == result.plan
    assert read.failure == result.failure


def test_failed_checks_are_kept_before_passed_ones():
    """The room is for what is wrong."""
    result = dataclasses.replace(huge("x" * 60, 30), failure=None)
    read = parse_result(termination_message(result).decode())
    assert {each.status for each in read.integrity.results} <= {"FAIL"}
    assert read.integrity.results


def test_findings_that_refuse_are_kept_before_others():
    """They are what a person has to act on."""
    result = dataclasses.replace(huge("x" * 60, 30), failure=None, applied=(), integrity=None)
    read = parse_result(termination_message(result).decode())
    assert {each.level for each in read.lint.findings} == {LintLevel.REFUSE}


@pytest.mark.parametrize("event", EventName)
def test_event_names_are_camel_case(event):
    """Machines match them."""
    assert event.value[0].islower()
    assert event.value.isalpha()
