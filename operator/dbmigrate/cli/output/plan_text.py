"""A plan, and what came of it, as people read them."""

from __future__ import annotations

from dbmigrate.api.report.plan import Direction, PlanReport, PlanStep
from dbmigrate.api.report.result import RunResult
from dbmigrate.cli.output.terminal import Terminal
from dbmigrate.cli.output.wording import counted
from dbmigrate.durations import format_duration


def write_plan(out: Terminal, plan: PlanReport) -> None:
    """The files in their order, and the hash."""
    files = (*plan.steps, *plan.repeatables)
    if not files:
        out.line(f"Nothing to do: current version {plan.from_version or 'none'}", "good")
    else:
        word = "apply" if plan.direction is Direction.FORWARD else "roll back"
        out.table(
            ("", "VERSION", "FILE", "SHA-256"),
            [(_do(word, step), step.version, step.file, step.checksum) for step in files],
        )
        out.line(f"{_span(plan)}, {counted(len(files), 'file')}", "strong")
    out.line(f"PLAN {plan.hash}")


def write_summary(out: Terminal, result: RunResult) -> None:
    """What was applied or rolled back, in one line."""
    current = f"current version {result.current_version or 'none'}"
    took = format_duration(result.duration_ms / 1000)
    if not result.applied:
        out.line(f"Nothing to do: {current}", "good")
        return
    back = result.applied[-1].type is Direction.ROLLBACK
    verb = "rolled back" if back else "applied"
    again = sum(each.type is Direction.REPEATABLE for each in result.applied)
    count = counted(len(result.applied) - again, "migration")
    if again:
        both = f"{count} and " if len(result.applied) > again else ""
        count = f"{both}{counted(again, 'repeatable file')}"
    out.line(f"{count} {verb} in {took}: {current}", "good")


def _do(word: str, step: PlanStep) -> str:
    return f"{word}, out of order" if step.out_of_order else word


def _span(plan: PlanReport) -> str:
    return f"{plan.from_version or 'empty'} → {plan.to_version or 'empty'}"
