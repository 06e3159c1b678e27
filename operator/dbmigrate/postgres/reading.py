"""The commands that only look: status, plan, validate, lint. They create nothing.

They take no advisory lock, and wait for the history's tables no longer than --lock-timeout.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from dbmigrate.api.report.plan import Direction
from dbmigrate.errors import RefusedError, SourceError
from dbmigrate.migrations.ahead import ahead_of, describe, way_back
from dbmigrate.migrations.applied import newest, pending, verify_checksums
from dbmigrate.migrations.repeatables import due
from dbmigrate.postgres import bookkeeping, history, linting
from dbmigrate.postgres.executing.ledger import Ledger, read_unfinished
from dbmigrate.postgres.planning import foreign_history, make_plan
from dbmigrate.postgres.server.parameters import require_parameters

if TYPE_CHECKING:
    from dbmigrate.migrations.files import SourceFile
    from dbmigrate.postgres.context import Context
    from dbmigrate.postgres.server.session import Session


def _begin(context: Context) -> tuple[Session, bookkeeping.Bookkeeping]:
    session = context.connect()
    found = context.look(session)
    if found.is_recovering:
        context.progress.warning(
            f"{context.settings.place} is a standby: what the primary committed last may be missing"
        )
    return session, found


def status(context: Context) -> None:
    """What is applied and what is pending."""
    session, _ = _begin(context)
    applied = context.read_applied()
    current = newest(applied)
    context.message = f"the database is at {current}" if current else "nothing is applied"
    if not applied and (other := foreign_history(session)):
        context.progress.warning(f"another tool has migrated this database: {other}")
    if context.source is not None:
        source = context.source
        with contextlib.suppress(RefusedError, SourceError):  # `up` refuses
            _find_unfinished(context, (*source.migrations, *source.repeatables))
        waiting = len(pending(context.source, applied, context.options.target))
        context.message += f", {waiting} pending" if waiting else ", nothing is pending"
        ahead = ahead_of(context.source, applied)
        if ahead:
            context.progress.warning(
                f"{describe(context.source, ahead)}; {way_back(context.source, ahead)}"
            )
        try:
            verify_checksums(context.source, applied)
        except RefusedError as edited:  # `up` refuses; here it is one more thing to know
            context.progress.warning(edited.message)


def _find_unfinished(context: Context, files: Iterable[SourceFile]) -> None:
    """Find out where a file goes on that is applied in part.

    Raises:
        SourceError: it cannot be split into statements.
        RefusedError: it was changed where it has been run (LedgerDiffers).
    """
    session, found = context.session, context.found
    unfinished = read_unfinished(session, found) if session and found else None
    if session is None or found is None or unfinished is None:
        return
    from dbmigrate.postgres.executing.continuing import (  # noqa: PLC0415 -- for such files alone
        next_statement,
        require_fit,
    )
    from dbmigrate.postgres.executing.prerequisites import Script  # noqa: PLC0415

    key = (unfinished.direction, unfinished.version or unfinished.file)
    file = next((each for each in files if (each.direction, each.key) == key), None)
    if file is None:
        return
    statements = Script(file).statements
    entries = Ledger(session, found, file, "").read()
    require_fit(file, statements, entries)
    following = next_statement(statements, entries)
    if following is not None:
        unfinished = replace(unfinished, next_statement=following.number, next_line=following.line)
    context.unfinished = unfinished


def _tell_unfinished(context: Context, files: Iterable[SourceFile]) -> None:
    """Say that a file is applied in part, and where it goes on; raises as `_find_unfinished`."""
    _find_unfinished(context, files)
    part = context.unfinished
    if part is None:
        return
    told = f"{part.file} is not finished: {part.statements_done} of its statements are done, "
    if part.statement_in_doubt:
        told += (
            f"statement {part.statement_in_doubt} is in doubt (line {part.next_line}): the run "
            "first looks whether it has taken effect"
        )
    elif part.next_statement:
        told += f"and the run goes on with statement {part.next_statement} (line {part.next_line})"
    else:
        told += "and its row in the history alone is missing"
    context.progress.warning(told)


def plan(context: Context) -> None:
    """What would run, with its hash.

    Raises:
        RefusedError, UsageError: a plan that cannot be kept is not made.
    """
    source = context.require_source()
    session, found = _begin(context)
    context.plan = make_plan(session, found, context.read_applied(), source, context.options)
    context.tell_plan()
    _tell_unfinished(context, context.plan.files)
    if context.plan.direction is Direction.FORWARD:
        linting.lint(context, context.plan.files)
    linting.require_clean(context)
    number = len(context.plan.files)
    files = "file" if number == 1 else "files"
    context.message = f"{number} {files} would run" if number else "nothing to do"


def validate(context: Context) -> None:
    """Checksums against the history, and what must hold of every pending file.

    Raises:
        RefusedError, SourceError, UsageError: what would stop `up`.
    """
    from dbmigrate.postgres.executing.prerequisites import (  # noqa: PLC0415 -- status does without
        Script,
        check_scripts,
        scripts_of,
    )

    source = context.require_source()
    session, found = _begin(context)
    require_parameters(session, context.options.settings)
    context.plan = make_plan(session, found, context.read_applied(), source, context.options)
    for warning in context.plan.warnings:
        context.progress.warning(warning)
    _tell_unfinished(context, context.plan.files)
    rollbacks = [
        source.rollbacks[step.version]
        for step in context.plan.steps
        if not step.is_rollback and step.version in source.rollbacks
    ]
    scripts = [*scripts_of(context.plan), *map(Script, rollbacks)]
    check_scripts(session, scripts)
    # A verification is undone whatever it does.
    linting.lint(context, [*context.plan.files, *rollbacks])
    linting.require_clean(context)
    for step in context.plan.steps:
        if not step.is_rollback and step.version not in source.rollbacks:
            context.progress.warning(f"{step.file}: there is no rollback for {step.version}")
    parsed = len(scripts) + sum(len(script.verifies) for script in scripts)
    files = "file" if parsed == 1 else "files"
    context.message = f"valid: {len(context.plan.steps)} pending, {parsed} {files} parsed"


def lint(context: Context) -> None:
    """What the linter finds in what is pending or due, and in its rollbacks; nothing is refused.

    Raises:
        LinterFailedError: the linter does not work.
        SourceError: a file cannot be split into statements.
    """
    source = context.require_source()
    session, found = _begin(context)
    waiting = pending(source, context.read_applied(), context.options.target)
    rollbacks = [
        source.rollbacks[each.version] for each in waiting if each.version in source.rollbacks
    ]
    again = due(source.repeatables, history.read_last_runs(session, found))
    linting.lint(context, [*waiting, *again, *rollbacks])
    context.message = context.lint.summary if context.lint else "nothing is pending"
