"""From the history in the database to the plan of this run, and what else must agree with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dbmigrate.api.report.history import UnfinishedFile
from dbmigrate.api.report.plan import Direction
from dbmigrate.api.rules import ForeignHistory, OutOfOrder
from dbmigrate.errors import RefusedError, UsageError
from dbmigrate.migrations.applied import AppliedMigration, newest
from dbmigrate.migrations.files import MigrationFile
from dbmigrate.migrations.plan import (
    Plan,
    plan_forward,
    plan_hash,
    plan_rollback,
    plan_to,
)
from dbmigrate.migrations.repeatables import LastRun
from dbmigrate.migrations.version import Version
from dbmigrate.postgres import history
from dbmigrate.postgres.executing.ledger import read_unfinished

if TYPE_CHECKING:
    from dbmigrate.migrations.source import Source
    from dbmigrate.postgres.bookkeeping import Bookkeeping
    from dbmigrate.postgres.options import RunOptions
    from dbmigrate.postgres.server.session import Session


def make_plan(
    session: Session,
    found: Bookkeeping,
    applied: Sequence[AppliedMigration],
    source: Source,
    options: RunOptions,
) -> Plan:
    """What the command would run now.

    Raises:
        RefusedError, UsageError: as `dbmigrate.migrations.plan` says, and PlanChanged.
    """
    last_runs = history.read_last_runs(session, found)
    plan = _plan(session, found, source, applied, options, last_runs)
    unfinished = read_unfinished(session, found)
    if unfinished is not None:
        plan = _continuation(unfinished, plan, source, options)
    if not applied and plan.steps and options.rules.foreign_history is ForeignHistory.REFUSE:
        other = foreign_history(session)
        if other:
            raise _foreign(other)
    if options.expect_plan is not None:
        _require_plan(session, found, source, applied, plan, options.expect_plan)
    return plan


def foreign_history(session: Session) -> str:
    """Which tools have migrated this database, and where they say so; empty for none."""
    from dbmigrate.postgres.adoption.detect import histories  # noqa: PLC0415 -- new databases only

    return ", ".join(f"{tool.name} ({table})" for tool, table in histories(session))


def _foreign(other: str) -> RefusedError:
    return RefusedError(
        f"dbmigrate has run nothing here, and another tool has: {other}",
        code="ForeignHistoryFound",
        hint="take its history over by `dbmigrate adopt`, or record what is there already by "
        "`dbmigrate baseline VERSION`; if those tables are another application's: "
        "--foreign-history ignore",
    )


def _continuation(
    unfinished: UnfinishedFile, plan: Plan, source: Source, options: RunOptions
) -> Plan:
    """The plan, beginning with the file that is applied in part; any other is refused.

    Raises:
        RefusedError: code UnfinishedMigration.
    """
    key = (unfinished.direction, unfinished.version or unfinished.file)
    at = next((at for at, each in enumerate(plan.files) if (each.direction, each.key) == key), None)
    if at == 0:
        return plan
    file = plan.files[at] if at is not None else None
    rule = options.rules.out_of_order
    if isinstance(file, MigrationFile) and not file.is_rollback and rule is not OutOfOrder.REFUSE:
        return plan.beginning_with(file, rule)
    before = ", ".join(each.file for each in plan.files[:at]) if at else ""
    message = (
        f"{unfinished.file} runs by statement, was begun by {unfinished.applied_by} and is not "
        f"finished: {unfinished.statements_done} of its statements are done"
    )
    if before:
        message += f"; and {before} would come before it"
    raise RefusedError(
        message,
        code="UnfinishedMigration",
        hint=f"{_how_to_finish(unfinished, source, before)}; or put the database in order by hand "
        "and say `dbmigrate resolve abandon`",
    )


def _how_to_finish(unfinished: UnfinishedFile, source: Source, before: str) -> str:
    """What to do first.

    Args:
        unfinished: the file that is applied in part.
        source: the files.
        before: which of them keep it from being the first, if any do.
    """
    file, version = unfinished.file, unfinished.version
    if unfinished.direction is Direction.ROLLBACK:
        return f"finish it first by `dbmigrate down` to below {version}"
    if before and not version:
        return f"finish it first by `dbmigrate up`, with {before} out of the source until then"
    if before:
        return (
            f"finish it first by `dbmigrate up`, with {before} out of the source until then; or "
            f"give that a version above {version}; or, if it depends on nothing newer, let it run "
            "behind by --out-of-order warn"
        )
    known = {str(each) for each in source.by_version} | {each.file for each in source.repeatables}
    if (version or file) not in known:
        return f"put {file} back into the source, and finish it by `dbmigrate up`"
    if not version:
        return f"finish it first by `dbmigrate up`, with {file} as it was when it was begun"
    return "finish it first by `dbmigrate up`"


def _plan(  # noqa: PLR0913, PLR0917 -- all that a plan is made from
    session: Session,
    found: Bookkeeping,
    source: Source,
    applied: Sequence[AppliedMigration],
    options: RunOptions,
    last_runs: Mapping[str, LastRun],
) -> Plan:
    target = options.target
    if target is None:
        if options.command == "down":
            raise UsageError(f"`{options.command}` needs a version", code="NoTarget")
        return plan_forward(source, applied, None, options.rules, last_runs)
    if options.command == "up":
        return plan_forward(source, applied, target, options.rules, last_runs)
    applied = _with_rollbacks(session, found, source, applied, target)
    if options.command == "down":
        return plan_rollback(source, applied, target)
    return plan_to(source, applied, target, options.rules, last_runs)


def _with_rollbacks(
    session: Session,
    found: Bookkeeping,
    source: Source,
    applied: Sequence[AppliedMigration],
    target: Version,
) -> Sequence[AppliedMigration]:
    """Add the rollbacks that the database keeps, for those alone that will be undone."""
    missing = {
        each.version
        for each in applied
        if each.version > target and each.version not in source.rollbacks
    }
    if not missing:
        return applied
    kept = history.read_rollbacks(session, found, missing)
    return [
        replace(each, rollback=kept[each.version]) if each.version in kept else each
        for each in applied
    ]


def _require_plan(  # noqa: PLR0913, PLR0917 -- all that a plan is made from
    session: Session,
    found: Bookkeeping,
    source: Source,
    applied: Sequence[AppliedMigration],
    plan: Plan,
    expected: str,
) -> None:
    """Refuse any plan but the expected one, or the rest of it after a run that was cut off."""
    if plan.hash == expected:
        return
    done = history.read_done_part(session, found, expected)
    if done is not None and _whole_hash(source, applied, plan, done) == expected:
        return
    raise RefusedError(
        f"the plan is another one than was expected: {plan.hash}, not {expected}",
        code="PlanChanged",
        hint="the source or the database changed since: look at the plan again",
    )


def _whole_hash(
    source: Source, applied: Sequence[AppliedMigration], plan: Plan, done: history.DonePart
) -> str | None:
    """The hash of the plan that was cut: what was done of it, then what remains."""
    if plan.steps and plan.direction is not done.direction:
        return None
    steps = [*done.steps, *((step.version, step.checksum) for step in plan.steps)]
    versions = {version for version, _ in done.steps}
    begin = newest([each for each in applied if each.version not in versions])
    if done.direction is Direction.ROLLBACK:
        begin = max(versions if begin is None else {*versions, begin})
    again = [*done.repeatables, *((each.file, each.checksum) for each in plan.repeatables)]
    return plan_hash(
        done.direction,
        begin,
        plan.to_version,
        steps,
        repeatables=again,
        verifies=source.verifies,
    )


def require_generation(session: Session, found: Bookkeeping, options: RunOptions) -> None:
    """Refuse a resource's older generation than the last that was run here.

    Raises:
        RefusedError: code StaleGeneration.
    """
    if options.resource_uid is None or options.resource_generation is None:
        return
    last = history.newest_generation(session, found, options.resource_uid)
    if last is not None and last > options.resource_generation:
        raise RefusedError(
            f"generation {options.resource_generation} of this resource is out of date: "
            f"generation {last} was run here already",
            code="StaleGeneration",
            hint="the operator starts a run for the newest generation by itself",
        )
