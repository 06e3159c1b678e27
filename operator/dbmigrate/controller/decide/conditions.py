"""Conditions as kstatus, Helm, Flux and Argo CD read them.

Source: kstatus (cli-utils): ``Reconciling`` and ``Stalled`` are abnormal-true, ``Ready`` is
normal-true. Suspended is Ready=False with neither of the others: tools that wait go on waiting,
and nothing calls it a failure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dbmigrate.api.databasemigration import Condition, DatabaseMigrationStatus
from dbmigrate.api.names import NEXT_STEP, ConditionType, Phase, Reason
from dbmigrate.controller.decide.facts import cut
from dbmigrate.controller.timestamps import format_time


@dataclass(frozen=True, slots=True)
class Standing:
    """How the resource stands, in one value; the conditions follow from it."""

    phase: Phase
    reason: str
    message: str
    ready: bool = False
    reconciling: bool = False
    stalled: bool = False


def in_progress(phase: Phase, reason: str, message: str) -> Standing:
    """Something is under way, or is waited for; it goes on by itself."""
    return Standing(phase, reason, message, reconciling=True)


def stalled(phase: Phase, reason: str, message: str) -> Standing:
    """Nothing happens until a person changes something."""
    return Standing(phase, reason, message, stalled=True)


def with_next_step(reason: str, message: str, hint: str | None = None) -> str:
    """The message and what to do next."""
    step = hint or NEXT_STEP.get(reason, "")
    if not step:
        return cut(message)
    # The message gives way, not the advice.
    short = cut(message, 1000 - len(step)) if len(step) < 500 else message
    return cut(f"{short.rstrip('.')}. {step[:1].upper()}{step[1:]}")


def conditions_of(
    standing: Standing,
    status: DatabaseMigrationStatus,
    *,
    generation: int,
    now: datetime,
    has_checks: bool,
) -> tuple[Condition, ...]:
    """All conditions; a condition's time changes only with its status."""
    wanted: list[tuple[ConditionType, str, str, str]] = [
        (ConditionType.READY, _truth(standing.ready), standing.reason, standing.message),
        (
            ConditionType.RECONCILING,
            _truth(standing.reconciling),
            standing.reason,
            standing.message if standing.reconciling else "",
        ),
        (
            ConditionType.STALLED,
            _truth(standing.stalled),
            standing.reason,
            standing.message if standing.stalled else "",
        ),
    ]
    integrity = status.integrity
    if has_checks and integrity is not None:
        reason = Reason.HEALTHY if integrity.healthy else Reason.UNHEALTHY
        wanted.append(
            (
                ConditionType.INTEGRITY_HEALTHY,
                _truth(integrity.healthy),
                reason,
                integrity.summary,
            )
        )
    elif has_checks:
        wanted.append(
            (
                ConditionType.INTEGRITY_HEALTHY,
                "Unknown",
                Reason.NOT_CHECKED,
                "the checks have not run yet",
            )
        )
    before = {condition.type: condition for condition in status.conditions}
    return tuple(
        _condition(before.get(kind), kind, truth, reason, message, generation, now)
        for kind, truth, reason, message in wanted
    )


def _truth(value: bool) -> str:  # noqa: FBT001 -- it turns a bool into its word
    return "True" if value else "False"


def _condition(  # noqa: PLR0913 -- a condition has this many parts
    before: Condition | None,
    kind: ConditionType,
    truth: str,
    reason: str,
    message: str,
    generation: int,
    now: datetime,
) -> Condition:
    same = before is not None and before.status == truth
    return Condition.model_validate(
        {
            "type": kind.value,
            "status": truth,
            "reason": str(reason)[:128],
            "message": cut(message),
            "last_transition_time": (
                before.last_transition_time if same and before else format_time(now)
            ),
            "observed_generation": generation,
        }
    )
