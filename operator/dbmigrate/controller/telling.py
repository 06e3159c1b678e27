"""What a line of a runner's log says of its progress. Pure: text in, values out.

The line may come from a newer runner, or from no runner at all: what is not understood is left
out, and never raises.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.plan import Direction
from dbmigrate.api.status.progress import BlockerStatus, ProgressStatus
from dbmigrate.controller.observation import LiveProgress
from dbmigrate.controller.timestamps import format_time, parse_time

_MESSAGE = 500
_NAME = 64
_LONG_NAME = 200
_PHASE = 100
_BLOCKERS = 5
_WHOLE = 100


def told_progress(  # noqa: PLR0911 -- one for each kind of line
    before: LiveProgress | None, line: str
) -> LiveProgress | None:
    """The progress after one more line of the log; None when the line tells none."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    now = before or LiveProgress(ProgressStatus())
    event = data.get("event")
    if event == EventName.WAITING:
        message = _text(data, "message", _MESSAGE) or "waiting for a lock"
        update = {"message": message, "blockers": tuple(_blockers(data)) or None}
        return replace(now, status=now.status.model_copy(update=update), waiting=message)
    if event == EventName.PLAN:
        plan = data.get("plan")
        return replace(now, direction=_direction(plan), waiting="", status=_free(now.status))
    if event == EventName.MIGRATION_STARTED:
        status = ProgressStatus(
            version=_text(data, "version", _MESSAGE) or None,
            file=_text(data, "file", _MESSAGE),
            number=_number(data, "number"),
            of=_number(data, "of"),
            started_at=_text(data, "time", _NAME),
        )
        return LiveProgress(status, direction=_direction(data))
    if event == EventName.STATEMENT:
        return replace(now, status=_statement(now.status, data), waiting="")
    if event == EventName.MIGRATION_COMPLETED:
        return replace(now, status=_free(now.status), waiting="")
    return None


def is_same_statement(before: LiveProgress | None, now: LiveProgress) -> bool:
    """Whether nothing has changed but how far one statement is."""
    if before is None:
        return False
    update = {"phase": now.status.phase, "percent": now.status.percent}
    return replace(before, status=before.status.model_copy(update=update)) == now


def _statement(before: ProgressStatus, data: dict[str, Any]) -> ProgressStatus:
    number = _number(data, "number")
    started = before.statement_started_at if number == before.statement else None
    percent = _number(data, "percent")
    return _free(before).model_copy(
        update={
            "statement": number,
            "statement_started_at": started or _since(data, data.get("seconds")),
            "phase": _text(data, "phase", _PHASE),
            "percent": percent if percent is not None and 0 <= percent <= _WHOLE else None,
        }
    )


def _blockers(data: dict[str, Any]) -> Iterator[BlockerStatus]:
    holders = data.get("holders")
    for each in holders[:_BLOCKERS] if isinstance(holders, list) else ():
        if isinstance(each, dict):
            yield BlockerStatus(
                pid=_number(each, "pid") or None,
                prepared=_text(each, "prepared", _LONG_NAME) or None,
                user=_text(each, "user", _NAME) or None,
                application=_text(each, "application", _NAME) or None,
                client=_text(each, "client", _NAME) or None,
                state=_text(each, "state", _NAME) or None,
                since=_since(data, each.get("seconds")),
                query=_text(each, "query", _LONG_NAME) or None,
            )


def _since(data: dict[str, Any], seconds: object) -> str | None:
    """When what has lasted for so long at the time of the event began."""
    at: datetime | None = parse_time(_text(data, "time", _NAME))
    if at is None or not isinstance(seconds, int | float) or isinstance(seconds, bool):
        return None
    try:
        return format_time(at - timedelta(seconds=seconds)) if seconds > 0 else None
    except OverflowError:
        return None


def _free(status: ProgressStatus) -> ProgressStatus:
    return status.model_copy(
        update={"message": None, "blockers": None, "phase": None, "percent": None}
    )


def _direction(data: Any) -> Direction:
    back = isinstance(data, dict) and data.get("direction") == Direction.ROLLBACK
    return Direction.ROLLBACK if back else Direction.FORWARD


def _text(data: dict[str, Any], key: str, limit: int) -> str | None:
    value = data.get(key)
    return value[:limit] if isinstance(value, str) else None


def _number(data: dict[str, Any], key: str) -> int | None:
    value = data.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
