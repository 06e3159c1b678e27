"""What a runner tells its reader: JSON lines while it works, the result as the last line.

With ``--output json`` every line on stdout is one JSON object with the key
``event``. The last line is ``{"event": "result", …}`` and holds the whole
:class:`RunResult`. The same result, shortened to 4,096 bytes, is written to the
container's termination message file. The database's history stays the truth;
this is news of it.

Times are RFC 3339 in UTC, durations are milliseconds, versions are ``X.Y.Z``
without the ``v``. Keys are camelCase. Unknown keys are ignored by the reader, so
that a newer runner can talk to an older operator.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

from dbmigrate.api.lint import LintLevel, LintReport

TERMINATION_MESSAGE_LIMIT = 4096
"""Bytes that kubelet keeps of a container's termination message (Kubernetes manual)."""

HISTORY_LIMIT = 50
"""How many of the newest migrations a result carries; the database has them all."""


class EventName(StrEnum):
    """The value of ``event`` in each line."""

    STARTED = "started"
    """The run begins: ``{"command", "runner"}``."""
    WAITING = "waiting"
    """``{"reason", "message", "holders": [...]}``: each holder a :class:`LockHolder`.

    Reasons: AdvisoryLock (another runner), TableLock (who uses what a statement needs),
    Transaction (one that must end first), Version. Told when the holders change, and now and
    then while they stay the same.
    """
    PLAN = "plan"
    """What will run: the :class:`PlanReport`, under ``plan``."""
    MIGRATION_STARTED = "migrationStarted"
    """``{"version", "file", "direction", "number", "of"}``: number counts from 1 in this run."""
    STATEMENT = "statement"
    """Progress within a file: ``{"version", "file", "statement", "line", "number", "of",
    "seconds"}``, and for a statement that the server tells of, ``phase`` and, where it counts,
    ``percent`` (of that phase). ``seconds`` is for how long the statement has been running."""
    MIGRATION_COMPLETED = "migrationCompleted"
    """Committed: a :class:`MigrationRecord` under ``migration``, with ``number`` and ``of``."""
    KEPT = "dataKept"
    """A rollback was committed that loses this: a :class:`KeptData` under ``kept``."""
    PROVED = "rollbackProved"
    """One migration went up, down and up: a :class:`ProvedMigration` under ``migration``."""
    NOTICE = "notice"
    """The server's own word: ``{"severity", "message", "version"}``."""
    WARNING = "warning"
    """Ours: ``{"message"}``."""
    LINT = "lint"
    """What the linter found: the :class:`LintReport`, under ``report``."""
    CHECK = "check"
    """One integrity check's :class:`IntegrityResult`, under ``check``."""
    RESULT = "result"
    """The last line: the :class:`RunResult`'s own fields beside ``event``."""


class Outcome(StrEnum):
    """How a run ended."""

    SUCCEEDED = "Succeeded"
    """Did what was asked, or found nothing to do."""
    FAILED = "Failed"
    """A statement failed, the database was out of reach, the lock was not to be had."""
    BLOCKED = "Blocked"
    """Refused before anything was touched; a person must decide (edited file, invalid source …)."""
    STOPPED = "Stopped"
    """Stopped between two files because the operator asked for it; the rest is pending."""
    INTERRUPTED = "Interrupted"
    """A signal ended it; the open transaction was undone."""


class Direction(StrEnum):
    """Which way a plan goes."""

    FORWARD = "forward"
    ROLLBACK = "rollback"
    REPEATABLE = "repeatable"


@dataclass(frozen=True, slots=True)
class LockHolder:
    """Another session, or a prepared transaction, that a run waits for."""

    pid: int
    """Its server process; 0 for a prepared transaction, which has none."""
    user: str = ""
    application: str = ""
    client: str = ""
    """Its address; empty for a socket."""
    kind: str = ""
    """The server's name for a process that is nobody's session, such as ``autovacuum worker``."""
    state: str = ""
    """``active``, ``idle in transaction``, ``prepared transaction`` …; empty when hidden."""
    seconds: int | None = None
    """How old its transaction is; without one, its session."""
    query: str = ""
    """What it executes, or did last: the beginning, in one line."""
    is_hidden: bool = False
    """The role that migrates may not see what it does: it lacks pg_read_all_stats."""
    waits_for: tuple[int, ...] = ()
    """Processes that it waits for itself."""
    prepared: str = ""
    """A prepared transaction's identifier."""
    locked_by: str = ""
    """Another runner's own word: who, from where, with which command, since when."""
    host: str = ""
    command: str = ""
    locked_at: str = ""


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One file of a plan."""

    version: str
    file: str
    checksum: str
    """SHA-256 of the file's bytes, hexadecimal."""
    direction: Direction = Direction.FORWARD
    out_of_order: bool = False
    """It is older than what is applied already."""


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What would run, in order; see `dbmigrate.migrations.plan` for what the hash covers."""

    direction: Direction
    from_version: str | None
    to_version: str | None
    hash: str
    steps: tuple[PlanStep, ...] = ()
    repeatables: tuple[PlanStep, ...] = ()
    """Files without a version that run behind the steps, because they have changed."""


@dataclass(frozen=True, slots=True)
class MigrationRecord:
    """One row of the history in the database."""

    version: str
    file: str
    checksum: str
    type: Direction
    status: str
    """``completed``, ``rolled_back`` or ``failed``."""
    applied_at: str
    applied_by: str = ""
    execution_time_ms: int | None = None
    git_commit_hash: str | None = None
    plan_hash: str | None = None
    origin: str = ""
    """``baseline``, or ``adopted:`` and a tool's name; empty when dbmigrate has run it."""
    applied_checksum: str = ""
    """Of the file that ran, when a repair has agreed to another `checksum` since."""


@dataclass(frozen=True, slots=True)
class AheadMigration:
    """An applied migration that is newer than all of the source."""

    version: str
    file: str
    rollback_kept: bool = False
    """The database keeps its rollback, so that this source could undo it."""
    origin: str = ""
    """As in `MigrationRecord`."""


class AmendmentAction(StrEnum):
    """What was done to the history without running anything."""

    BASELINE = "baseline"
    WITHDRAW = "withdraw"
    """A baseline was corrected: it is pending again."""
    REPAIR = "repair"
    ADOPT = "adopt"


@dataclass(frozen=True, slots=True)
class Amendment:
    """One change of the history that ran nothing."""

    action: AmendmentAction
    version: str
    file: str
    checksum: str
    """SHA-256 of the file's bytes as it is now recorded."""
    old_checksum: str = ""
    """What a repair replaces."""
    rollback: str = ""
    """The rollback's file, where its text is kept in the database from now on."""
    foreign: str = ""
    """What the other tool calls an adopted migration."""
    proof: str = ""
    """By what an adopted migration was matched with its file."""
    applied_at: str = ""
    """When an adopted migration was applied, as the other tool has it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run did not succeed. Every text is free of passwords."""

    code: str
    """Stable name: an error's code, such as MigrationFailed, ChecksumMismatch, Unreachable."""
    message: str
    hint: str = ""
    version: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    excerpt: str = ""
    statement: int = 0
    sqlstate: str = ""
    detail: str = ""
    server_message: str = ""
    server_hint: str = ""
    transient: bool = False
    """The same run may well succeed later by itself."""
    touched: bool = False
    """Some statement of a migration had been sent before it failed; a rollback that was only tried
    and then refused does not count."""


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """A file that failed, as the history tells it; by now it may have been mended."""

    version: str
    file: str
    type: Direction
    failed_at: str
    applied_by: str = ""
    code: str = ""
    message: str = ""
    line: int = 0
    sqlstate: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """What the server said beside its answers (RAISE NOTICE, a warning)."""

    severity: str
    """``NOTICE``, ``WARNING``, ``INFO`` or ``LOG``."""
    message: str


@dataclass(frozen=True, slots=True)
class UnfinishedFile:
    """A file that runs by statement, was begun, and is not finished."""

    version: str
    """Empty for a repeatable file."""
    file: str
    direction: Direction
    statements_done: int
    statement_in_doubt: int = 0
    """Number of the statement of which nobody knows yet whether it has run; 0 for none."""
    statement: str = ""
    """The beginning of that statement."""
    applied_by: str = ""


@dataclass(frozen=True, slots=True)
class KeptData:
    """What a rollback loses of one table, and whether it was kept."""

    version: str
    schema: str
    table: str
    kind: str
    """``table``, ``columns``, ``rows``, ``sequence`` or ``largeObjects``."""
    columns: tuple[str, ...] = ()
    """The columns that are lost, where it is not the whole table."""
    rows: int = 0
    size: int = 0
    """Bytes, before compression."""
    set_id: int | None = None
    """Its number in rollback_data_log; None when it was not kept."""
    covered_by: str = ""
    """The backup that was named in place of keeping it."""
    kept_at: str = ""


@dataclass(frozen=True, slots=True)
class RestoredData:
    """What was put back of one kept set."""

    set_id: int
    version: str
    kind: str
    into: str
    """The table or sequence, with its schema."""
    rows: int = 0
    """Rows that were inserted or got their values back."""
    skipped: int = 0
    """Kept rows that stayed out, because another row or value is there."""
    missing: int = 0
    """Kept values whose rows are not there any more."""


class ProofStatus(StrEnum):
    """What came of proving one rollback."""

    PROVED = "proved"
    DIFFERS = "differs"
    """Something did not come back, or came back different."""
    NO_ROLLBACK = "noRollback"
    FAILED = "failed"
    """A step failed: see `phase` and `failure`."""


@dataclass(frozen=True, slots=True)
class ProofDifference:
    """An object that is not as it was."""

    kind: str
    """``table``, ``column``, ``constraint``, ``function``, ``privileges`` …"""
    identity: str
    difference: str
    """``missing``, ``extra`` or ``changed``."""
    phase: str
    """``afterRollback``: against before; ``afterSecondUp``: against after the first time up."""
    diff: str = ""
    """The lines of its definition that differ: ``-`` as it was, ``+`` as it is."""


@dataclass(frozen=True, slots=True)
class ProvedMigration:
    """One migration that went up, down and up on a scratch database."""

    version: str
    file: str
    status: ProofStatus
    phase: str = ""
    """For FAILED: ``up``, ``down`` or ``secondUp``."""
    differences: tuple[ProofDifference, ...] = ()
    """An other order of columns alone does not make it DIFFERS: it cannot be helped."""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class ProofReport:
    """What `prove` found."""

    proved: bool
    """No rollback differs or failed; there may be migrations without one."""
    migrations: tuple[ProvedMigration, ...] = ()
    catalog_fingerprint: str = ""
    """SHA-256 of the catalog that all of it leads to."""


@dataclass(frozen=True, slots=True)
class IntegrityResult:
    """What one integrity check found."""

    check: str
    status: str
    """``PASS``, ``FAIL`` or ``ERROR`` (it could not run)."""
    severity: str
    """``critical``, ``warning`` or ``info``."""
    details: str = ""
    affected_records: int = 0
    duration_ms: int = 0


@dataclass(frozen=True, slots=True)
class IntegrityReport:
    """What all integrity checks found, in one snapshot of the database."""

    checked_at: str
    healthy: bool
    """No FAIL of severity critical or warning, and no ERROR."""
    summary: str
    """A few words for a table's column: ``Healthy``, ``1 critical, 2 warnings``."""
    critical_failures: int = 0
    warnings: int = 0
    errors: int = 0
    results: tuple[IntegrityResult, ...] = ()


@dataclass(frozen=True, slots=True)
class RunResult:
    """The whole result of a run: the last line of its log."""

    command: str
    """``up``, ``down``, ``to``, ``status``, ``plan``, ``baseline`` …"""
    outcome: Outcome
    exit_code: int
    finished_at: str
    message: str = ""
    """One sentence for people."""
    environment: str | None = None
    current_version: str | None = None
    """Newest version that is applied now; None when none is, or when it is not known."""
    database_known: bool = False
    """The database was asked: `current_version`, `pending` and `history` are from there."""
    target_version: str | None = None
    pending: int = 0
    """Migrations of the source that are not applied (up to the target)."""
    pending_versions: tuple[str, ...] = ()
    repeatables_due: tuple[str, ...] = ()
    """Repeatable files that the next `up` runs, in their order."""
    source_digest: str = ""
    """Digest of the source that this run read: what its result may be booked to."""
    plan: PlanReport | None = None
    applied: tuple[MigrationRecord, ...] = ()
    """What this run committed, in order, rollbacks included."""
    kept: tuple[KeptData, ...] = ()
    """What its rollbacks lose, or what was asked for of what earlier ones kept."""
    history: tuple[MigrationRecord, ...] = ()
    """The newest rows of the history that are live (`HISTORY_LIMIT` at most), oldest first."""
    history_total: int = 0
    last_failure: FailedAttempt | None = None
    """The newest row of the history, when it is a failure: nothing has succeeded since."""
    unfinished: UnfinishedFile | None = None
    """A file that is applied in part: the next run goes on with it."""
    failure: Failure | None = None
    restored: tuple[RestoredData, ...] = ()
    proof: ProofReport | None = None
    integrity: IntegrityReport | None = None
    ahead: tuple[AheadMigration, ...] = ()
    """What the database has that is newer than the source, oldest first."""
    amendments: tuple[Amendment, ...] = ()
    """What `baseline`, `repair` or `adopt` recorded."""
    dry_run: bool = False
    """The amendments were not recorded: the run only tells what they would be."""
    lint: LintReport | None = None
    """What the linter found in the files that this run was to apply."""
    duration_ms: int = 0
    truncated: bool = False
    """Parts were left out to fit the termination message; the log's last line has them."""


T = TypeVar("T")


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def to_json(value: Any) -> Any:
    """A report's dataclass as JSON data: camelCase keys.

    None, empty lists and empty texts are left out where that is the field's default,
    so that `from_json` gives an equal value back.
    """
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    kind: Any = type(value)
    keys = _keys(kind)
    if keys is None:
        return value
    return {
        key: to_json(item)
        for name, key, default in keys
        if (item := getattr(value, name)) not in (None, "", ()) or item != default
    }


@cache
def _keys(kind: type) -> tuple[tuple[str, str, Any], ...] | None:
    """Each field's name, its key and its default, or None for what is no dataclass."""
    if not dataclasses.is_dataclass(kind):
        return None
    return tuple((each.name, _camel(each.name), each.default) for each in dataclasses.fields(kind))


@cache
def _field_types(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _convert(hint: Any, value: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin is types.UnionType:
        if value is None:
            return None
        (hint,) = (arg for arg in typing.get_args(hint) if arg is not type(None))
        return _convert(hint, value)
    if origin is tuple:
        if not isinstance(value, list):
            raise TypeError(f"expected a list, not {type(value).__name__}")
        item = typing.get_args(hint)[0]
        return tuple(_convert(item, each) for each in value)
    if dataclasses.is_dataclass(hint):
        return from_json(typing.cast("type[Any]", hint), value)
    if issubclass(hint, StrEnum):
        return hint(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise TypeError(f"expected {hint.__name__}, not {type(value).__name__}")
    return value


def from_json(kind: type[T], data: Any) -> T:
    """The dataclass that `to_json` made the data from; unknown keys are ignored.

    Raises:
        ValueError: the data is not of that shape (a required key missing, a wrong type).
    """
    if not isinstance(data, dict):
        raise ValueError(f"{kind.__name__}: expected an object")  # noqa: TRY004 -- wrong data
    hints = _field_types(typing.cast("Any", kind))
    values: dict[str, Any] = {}
    for each in dataclasses.fields(typing.cast("Any", kind)):
        key = _camel(each.name)
        if key in data:
            try:
                values[each.name] = _convert(hints[each.name], data[key])
            except (TypeError, ValueError) as error:
                raise ValueError(f"{kind.__name__}.{key}: {error}") from error
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{kind.__name__}: {error}") from error


def result_line(result: RunResult) -> str:
    """The last line of the log: the whole result."""
    return json.dumps({"event": EventName.RESULT.value, **to_json(result)}, ensure_ascii=False)


def parse_result(line: str) -> RunResult | None:
    """The result that a line holds, or None when the line is something else (or cut short)."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or data.get("event") != EventName.RESULT.value:
        return None
    try:
        return from_json(RunResult, data)
    except ValueError:
        return None


def termination_message(result: RunResult) -> bytes:
    """The result in at most `TERMINATION_MESSAGE_LIMIT` bytes, the least needed left out first.

    What is left out is said by `RunResult.truncated`. Outcome, exit code, versions and the
    failure's place and code always stay; texts are cut as far as it takes.
    """
    for each in _shorter_and_shorter(result):
        # A file's name may hold bytes that are no UTF-8; JSON has an escape for them.
        encoded = result_line(each).encode(errors="backslashreplace")
        if len(encoded) <= TERMINATION_MESSAGE_LIMIT:
            return encoded
    raise AssertionError("every text was cut, and still it is too long")


def _shorter_and_shorter(result: RunResult) -> Iterator[RunResult]:
    yield result
    result = dataclasses.replace(
        result,
        history=(),
        pending_versions=(),
        repeatables_due=result.repeatables_due[:1],
        lint=_brief_lint(result.lint, 10, 200),
        truncated=True,
    )
    yield result
    result = dataclasses.replace(
        result,
        plan=None,
        applied=result.applied[-5:],
        kept=result.kept[-5:],
        integrity=_brief(result.integrity, 5, 200),
        lint=_brief_lint(result.lint, 3, 100),
    )
    yield result
    yield dataclasses.replace(result, lint=_brief_lint(result.lint, 0, 0))
    result = dataclasses.replace(
        result,
        plan=None,
        applied=(),
        kept=(),
        restored=(),
        proof=_brief_proof(result.proof),
        ahead=(),
        amendments=(),
        integrity=_brief(result.integrity, 0, 0),
        lint=_brief_lint(result.lint, 0, 0),
    )
    for limit in (1000, 300, 150, 80, 40, 20, 10):
        yield _cut_texts(result, limit)


def _brief_proof(report: ProofReport | None) -> ProofReport | None:
    """Without what differs; with too many migrations only those that are not proved."""
    if report is None:
        return None
    bad = [each for each in report.migrations if each.status is not ProofStatus.PROVED][:5]
    cut = tuple(dataclasses.replace(each, differences=(), failure=None) for each in bad)
    return dataclasses.replace(report, migrations=cut)


def _brief(report: IntegrityReport | None, results: int, details: int) -> IntegrityReport | None:
    if report is None:
        return None
    kept = sorted(report.results, key=lambda each: each.status == "PASS")[:results]
    return dataclasses.replace(
        report,
        results=tuple(dataclasses.replace(r, details=_cut(r.details, details)) for r in kept),
    )


def _brief_lint(report: LintReport | None, findings: int, text: int) -> LintReport | None:
    """The counts, and the first findings without their lines; the heaviest are kept."""
    if report is None:
        return None
    by_weight = sorted(report.findings, key=lambda each: each.level is not LintLevel.REFUSE)
    return dataclasses.replace(
        report,
        findings=tuple(
            dataclasses.replace(each, message=_cut(each.message, text), help="", excerpt="")
            for each in by_weight[:findings]
        ),
        gaps=(),
        error=_cut(report.error, 300),
    )


_NAMES = frozenset(
    {"command", "code", "sqlstate", "version", "current_version", "target_version", "finished_at"}
)
"""Fields that are names, not texts: half a name is another name."""
_NAME = 64
"""Characters that are kept of them in any case; our own are shorter."""


def _cut_texts(value: T, limit: int) -> T:
    """A report with each of its texts cut to so many characters, in what it contains too."""
    changes: dict[str, Any] = {}
    for each in dataclasses.fields(typing.cast("Any", value)):
        item = getattr(value, each.name)
        if dataclasses.is_dataclass(item):
            changes[each.name] = _cut_texts(item, limit)
        elif type(item) is str:
            changes[each.name] = _cut(item, max(limit, _NAME) if each.name in _NAMES else limit)
    shorter: T = dataclasses.replace(typing.cast("Any", value), **changes)
    return shorter


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"
