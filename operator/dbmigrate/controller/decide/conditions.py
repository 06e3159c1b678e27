"""Conditions as kstatus, Helm, Flux and Argo CD read them.

Source: kstatus (cli-utils): ``Reconciling`` and ``Stalled`` are abnormal-true, ``Ready`` is
normal-true. Suspended is Ready=False with neither of the others: tools that wait go on waiting,
and nothing calls it a failure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dbmigrate.api.databasemigration import DatabaseMigrationStatus
from dbmigrate.api.names import NEXT_STEP, ConditionType, Phase, Reason
from dbmigrate.api.status.condition import Condition
from dbmigrate.api.status.integrity import IntegrityStatus
from dbmigrate.controller.decide.facts import MESSAGE_LIMIT
from dbmigrate.controller.timestamps import format_time
from dbmigrate.texts import cut

_REASON_LIMIT = 128


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
        return cut(message, MESSAGE_LIMIT)
    step = cut(step, MESSAGE_LIMIT // 2)
    # The message gives way, not the advice.
    short = cut(message, MESSAGE_LIMIT - len(step) - len(". "))
    return f"{short.rstrip('.')}. {step[:1].upper()}{step[1:]}"


def conditions_of(
    standing: Standing,
    status: DatabaseMigrationStatus,
    *,
    generation: int,
    now: datetime,
    has_checks: bool,
) -> tuple[Condition, ...]:
    """All conditions; a condition's time changes only with its status."""
    wanted = [
        _Wanted(ConditionType.READY, _truth(standing.ready), standing.reason, standing.message),
        _Wanted(
            ConditionType.RECONCILING,
            _truth(standing.reconciling),
            standing.reason,
            standing.message if standing.reconciling else "",
        ),
        _Wanted(
            ConditionType.STALLED,
            _truth(standing.stalled),
            standing.reason,
            standing.message if standing.stalled else "",
        ),
    ]
    if has_checks:
        wanted.append(_integrity(status.integrity))
    before = {condition.type: condition for condition in status.conditions}
    return tuple(_condition(before.get(each.type), each, generation, now) for each in wanted)


@dataclass(frozen=True, slots=True)
class _Wanted:
    type: ConditionType
    status: str
    reason: str
    message: str


def _integrity(integrity: IntegrityStatus | None) -> _Wanted:
    kind = ConditionType.INTEGRITY_HEALTHY
    if integrity is None:
        return _Wanted(kind, "Unknown", Reason.NOT_CHECKED, "the checks have not run yet")
    if integrity.healthy:
        return _Wanted(kind, "True", Reason.HEALTHY, integrity.summary)
    failed = ", ".join(each.check for each in integrity.results if each.status != "PASS")
    return _Wanted(kind, "False", Reason.UNHEALTHY, f"{integrity.summary}: {failed}")


def _truth(value: bool) -> str:  # noqa: FBT001 -- it turns a bool into its word
    return "True" if value else "False"


def _condition(
    before: Condition | None, wanted: _Wanted, generation: int, now: datetime
) -> Condition:
    since = before.last_transition_time if before and before.status == wanted.status else None
    return Condition.model_validate(
        {
            "type": wanted.type.value,
            "status": wanted.status,
            "reason": str(wanted.reason)[:_REASON_LIMIT],
            "message": cut(wanted.message, MESSAGE_LIMIT),
            "last_transition_time": since or format_time(now),
            "observed_generation": generation,
        }
    )
