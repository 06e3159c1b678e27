"""The result as a line of the log, and from one."""

from __future__ import annotations

import json

from dbmigrate.api.report.codec import from_json, to_json
from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.result import RunResult


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
