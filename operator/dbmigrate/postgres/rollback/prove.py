"""Proves rollbacks: each migration up, down and up again on a scratch database.

What the database has is compared after each step. A rollback is proved when the catalog is
after it as it was before its migration, and after the second time up as after the first.
The target database is not touched. The migrations run by the engine itself, in empty
tables, with their verifications: what they do to data is not proved. Repeatable files are
left out: no rollback undoes them, so what they made would count as what did not go away.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg

from dbmigrate.api.failure import failure_of, outcome_of
from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.outcome import Failure, Outcome
from dbmigrate.api.report.proof import ProofDifference, ProofReport, ProofStatus, ProvedMigration
from dbmigrate.api.report.result import RunResult
from dbmigrate.errors import (
    DbmigrateError,
    InterruptedRunError,
    MigrationFailedError,
    UnreachableError,
)
from dbmigrate.migrations.version import Version
from dbmigrate.postgres import bookkeeping, history
from dbmigrate.postgres.options import RunOptions
from dbmigrate.postgres.reporting.progress import Reporter
from dbmigrate.postgres.rollback import catalog, scratch
from dbmigrate.postgres.rollback.catalog import COLUMN_ORDER, Catalog, ObjectDifference
from dbmigrate.postgres.rollback.options import KeepOptions
from dbmigrate.postgres.run import run
from dbmigrate.postgres.server.connection import connect
from dbmigrate.postgres.server.interruption import Interrupted, Interruption
from dbmigrate.postgres.server.session import ConnectionLostError
from dbmigrate.postgres.server.settings import CATALOG, ConnectionSettings, SessionSettings

if TYPE_CHECKING:
    from dbmigrate.migrations.source import MigrationFile, Source
    from dbmigrate.postgres.rollback.scratch import Scratch

_AFTER_ROLLBACK = "afterRollback"
_AFTER_SECOND_UP = "afterSecondUp"


@dataclass(frozen=True, slots=True)
class ProveRequest:
    """What is to be proved."""

    target: Version | None = None
    """Up to this version; None is all."""
    only_pending: bool = False
    """Only what is not applied in the target database yet."""
    scratch: ConnectionSettings | None = None
    """An empty database to use; None has one made."""


def prove(  # noqa: PLR0913, PLR0917 -- all that a proof needs
    settings: ConnectionSettings,
    source: Source,
    options: RunOptions,
    request: ProveRequest,
    reporter: Reporter,
    interruption: Interruption,
) -> RunResult:
    """Prove, and tell how it went; never raises for what happens to a database."""
    began = time.monotonic()
    alone = replace(source, repeatables=())
    prover = _Prover(settings, alone, options, request, reporter, interruption)
    error: DbmigrateError | None = None
    try:
        prover.run()
    except DbmigrateError as caught:
        error = caught
    except Interrupted:
        number = interruption.signal_number or 15
        error = InterruptedRunError(
            f"interrupted by signal {number}; the scratch database is removed",
            signal_number=number,
        )
    except (ConnectionLostError, psycopg.Error) as caught:
        error = UnreachableError(
            f"the scratch database was lost: {str(caught).splitlines()[0]}", code="ConnectionLost"
        )
    left_out = len(source.repeatables)
    return _result(prover, error, left_out, round((time.monotonic() - began) * 1000))


@dataclass
class _Prover:
    settings: ConnectionSettings
    source: Source
    options: RunOptions
    request: ProveRequest
    reporter: Reporter
    interruption: Interruption
    proved: list[ProvedMigration] = field(default_factory=list)
    fingerprint: str = ""

    def run(self) -> None:
        files = [
            file
            for file in self.source.migrations
            if self.request.target is None or file.version <= self.request.target
        ]
        applied = self._applied() if self.request.only_pending else set()
        first = next((n for n, file in enumerate(files) if file.version not in applied), len(files))
        if self.request.scratch is not None:
            context = scratch.given(self.request.scratch, self.options, self.interruption)
        else:
            context = scratch.made(self.settings, self.options, self.interruption, self._warn)
        with context as database:
            if first:
                self._require(self._step(database, "up", files[first - 1].version))
            for number in range(first, len(files)):
                self.interruption.check()
                previous = files[number - 1].version if number else Version(0, 0, 0)
                proved = self._prove(database, files[number], previous)
                self.proved.append(proved)
                self.reporter.emit(EventName.PROVED, migration=proved)
                if proved.status is ProofStatus.FAILED and proved.phase == "up":
                    break  # what comes after it has nothing to stand on
            self.fingerprint = catalog.fingerprint(self._take(database))

    def _prove(self, database: Scratch, file: MigrationFile, previous: Version) -> ProvedMigration:
        """Up, down, up."""
        found = ProvedMigration(str(file.version), file.file, ProofStatus.PROVED)
        before = self._take(database)
        result = self._step(database, "up", file.version)
        if result.failure:
            return replace(found, status=ProofStatus.FAILED, phase="up", failure=result.failure)
        if file.version not in self.source.rollbacks:
            return replace(found, status=ProofStatus.NO_ROLLBACK)
        after = self._take(database)
        result = self._step(database, "down", previous)
        if result.failure:
            return replace(found, status=ProofStatus.FAILED, phase="down", failure=result.failure)
        differences = [*_report(before, self._take(database), _AFTER_ROLLBACK)]
        result = self._step(database, "up", file.version)
        if result.failure:
            self._start_again(database, file.version)
            return replace(
                found, status=ProofStatus.FAILED, phase="secondUp", failure=result.failure,
                differences=tuple(differences),
            )  # fmt: skip
        differences += _report(after, self._take(database), _AFTER_SECOND_UP)
        is_other = any(each.kind != COLUMN_ORDER for each in differences)
        status = ProofStatus.DIFFERS if is_other else ProofStatus.PROVED
        return replace(found, status=status, differences=tuple(differences))

    def _start_again(self, database: Scratch, version: Version) -> None:
        """A rollback that left something in the way must not hide what comes after it."""
        if database.renew is not None:
            database.renew()
            self._require(self._step(database, "up", version))

    def _step(self, database: Scratch, command: str, target: Version) -> RunResult:
        """One command by the engine, in the scratch database."""
        options = replace(
            self.options, command=command, target=target, keep=KeepOptions(enabled=False)
        )
        result = run(database.settings, self.source, options, _Silence(), self.interruption)
        if result.outcome is Outcome.INTERRUPTED:
            raise Interrupted
        return result

    def _require(self, result: RunResult) -> None:
        if result.failure is not None:
            failure = result.failure
            raise MigrationFailedError(
                f"what comes before cannot be applied to an empty database: {failure.message}",
                code="NotProvable",
                hint="a proof needs migrations that make the schema from nothing; what they "
                "expect beside it (schemas, extensions) may be there in a database without "
                "tables, given by --scratch URI",
                version=failure.version,
                sqlstate=failure.sqlstate,
            )

    def _take(self, database: Scratch) -> Catalog:
        return catalog.take(database.session, self.options.history_schema)

    def _applied(self) -> set[Version]:
        """What is applied in the target database."""
        wanted = SessionSettings(
            "prove", connect_timeout=self.options.connect_timeout, search_path=CATALOG
        )
        session = connect(self.settings, wanted, self.interruption)
        try:
            found = bookkeeping.look(session, self.options.history_schema)
            return {each.version for each in history.read_applied(session, found)}
        finally:
            session.close()

    def _warn(self, message: str) -> None:
        self.reporter.emit(EventName.WARNING, message=message)


class _Silence:
    """A reporter for the runs within."""

    def emit(self, event: EventName, **data: object) -> None:
        """Nothing: the proof is what is told."""


def _report(was: Catalog, now: Catalog, phase: str) -> Iterable[ProofDifference]:
    for each in catalog.compare(was, now):
        yield _difference(each, phase)


def _difference(each: ObjectDifference, phase: str) -> ProofDifference:
    return ProofDifference(
        each.object.kind, each.object.identity, each.difference.value, phase, each.diff
    )


def _result(prover: _Prover, error: DbmigrateError | None, left_out: int, took: int) -> RunResult:
    bad = [
        each for each in prover.proved if each.status in (ProofStatus.DIFFERS, ProofStatus.FAILED)
    ]
    without = sum(each.status is ProofStatus.NO_ROLLBACK for each in prover.proved)
    number = len(prover.proved)
    proved = number - len(bad) - without
    message = f"{proved} of {number} rollbacks proved"
    if without:
        message += ", 1 migration has none" if without == 1 else f", {without} migrations have none"
    if left_out:
        files = "1 repeatable file" if left_out == 1 else f"{left_out} repeatable files"
        message += f"; {files} left out"
    report = ProofReport(
        proved=not bad and error is None,
        migrations=tuple(prover.proved),
        catalog_fingerprint=prover.fingerprint,
    )
    result = RunResult(
        command="prove",
        outcome=Outcome.SUCCEEDED,
        exit_code=0,
        finished_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        message=message,
        environment=prover.options.environment,
        source_digest=prover.source.digest,
        proof=report,
        duration_ms=took,
    )
    if error is not None:
        return replace(
            result, outcome=outcome_of(error), exit_code=error.exit_code, message=error.message,
            failure=failure_of(error, touched=False),
        )  # fmt: skip
    if bad:
        versions = ", ".join(each.version for each in bad)
        message = f"rollbacks that do not lead back: {versions}"
        hint = "mend the rollback files so that every object comes back"
        if bad[0].phase == "up":
            message = f"{bad[0].version} does not go up on a scratch database"
            hint = "mend the migration: it must make its part of the schema from nothing"
        failure = Failure(
            code="RollbackNotProved",
            message=message,
            hint=f"{hint}; nothing was changed in the target database",
            version=bad[0].version,
        )
        return replace(
            result, outcome=Outcome.FAILED, exit_code=1, message=failure.message, failure=failure
        )
    return result
