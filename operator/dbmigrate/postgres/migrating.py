"""The commands that migrate: up, down, to.

The order is: lock, history, plan, prerequisites of all files, bookkeeping, each file in
its transaction, then the history once more as proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dbmigrate.api.report.plan import Direction
from dbmigrate.postgres import bookkeeping, linting, lock
from dbmigrate.postgres.planning import make_plan, require_generation
from dbmigrate.postgres.proof import not_shown, require_shown
from dbmigrate.postgres.server.parameters import require_parameters

if TYPE_CHECKING:
    from dbmigrate.migrations.plan import Plan
    from dbmigrate.postgres.context import Context
    from dbmigrate.postgres.executing.prerequisites import Script
    from dbmigrate.postgres.server.session import Session


def migrate(context: Context) -> None:
    """Bring the database to the target.

    Raises:
        DbmigrateError: whatever prevents it; what was committed before stays.
    """
    source = context.require_source()
    session = context.connect()
    require_parameters(session, context.options.settings)
    context.take_lock(session)
    found = context.look(session)
    require_generation(session, found, context.options)
    applied = context.read_applied()
    plan = context.plan = make_plan(session, found, applied, source, context.options)
    context.tell_plan()
    scripts = _checked(context, session, plan)
    found = context.found = bookkeeping.bring_up_to_date(session, found)
    applied_by = context.options.applied_by or found.session_user
    lock.write_row(session, found, applied_by, context.options.command)
    bookkeeping.remember_environment(session, found, context.options.environment)
    if scripts:
        from dbmigrate.postgres.executing.applying import Applying  # noqa: PLC0415 -- see below

        Applying(context, source, plan, found, scripts).run()
    _verify(context)
    if context.session is not None:
        lock.remove_row(context.session, found)
    _check(context)
    context.message = _message(plan)


# Most runs find nothing to do, and somebody waits for them: what runs files is loaded for files.


def _checked(context: Context, session: Session, plan: Plan) -> Sequence[Script]:
    """What the plan runs, of which all is known that can be known before it runs."""
    scripts: Sequence[Script] = ()
    if plan.files:
        from dbmigrate.postgres.executing.prerequisites import (  # noqa: PLC0415 -- see above
            check_scripts,
            scripts_of,
        )

        scripts = scripts_of(plan)
        check_scripts(session, scripts, together=context.options.is_together)
    if plan.direction is Direction.FORWARD:
        linting.lint(context, plan.files)
        linting.require_clean(context)
    elif scripts:
        from dbmigrate.postgres.rollback.untried import require_triable  # noqa: PLC0415 -- see above

        for text in require_triable(scripts, context.options.keep):
            context.progress.warning(text)
    return scripts


def _message(plan: Plan) -> str:
    if not plan.files:
        return "nothing to do"
    number = len(plan.steps)
    files = "migration" if number == 1 else "migrations"
    if plan.direction is Direction.ROLLBACK:
        return f"{number} {files} rolled back, to {plan.to_version or 'the beginning'}"
    again = len(plan.repeatables)
    repeated = f"{again} repeatable file{'' if again == 1 else 's'} run" if again else ""
    if not number:
        return repeated
    text = f"{number} {files} applied, to {plan.to_version}"
    return f"{text}; {repeated}" if repeated else text


def _verify(context: Context) -> None:
    """Read the history again: what the run says it did must be there.

    Raises:
        RefusedError: code HistoryDisagrees.
    """
    if not context.done or context.session is None:
        return
    wrong = [record.version for record in not_shown(context.done, context.read_applied())]
    require_shown(wrong, "committed")


def _check(context: Context) -> None:
    if context.options.checks:
        from dbmigrate.postgres.integrity.command import check  # noqa: PLC0415 -- loads pydantic

        check(context)
