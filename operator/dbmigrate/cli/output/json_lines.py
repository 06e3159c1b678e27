"""One JSON object a line on stdout: events as they happen, the result last (see `api.report`).

Lines that follow each other within moments are written together: see `gathering`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dbmigrate.api.report.codec import to_json
from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.lines import result_line
from dbmigrate.api.report.result import RunResult
from dbmigrate.cli.results import now

if TYPE_CHECKING:
    from dbmigrate.cli.output.gathering import GatheredLines


class JsonOutput:
    """Output for machines. A line is written whole, and a tenth of a second late at most."""

    def __init__(self, lines: GatheredLines) -> None:
        self._lines = lines

    def emit(self, event: EventName, **data: object) -> None:
        """Write one event's line, with its time."""
        line = {"event": event.value, "time": now(), **{k: to_json(v) for k, v in data.items()}}
        self._lines.line(json.dumps(line, ensure_ascii=False, default=str))

    def show_statements(self) -> None:
        """Nothing: every event is written anyway."""

    def connected_to(self, target: str, origin: str) -> None:
        """Nothing: which database it is belongs to people's output."""

    def result(self, result: RunResult, files: Mapping[str, str]) -> None:
        """Write the last line, and with it whatever waits."""
        del files
        self._lines.line(result_line(result))
        self._lines.flush()
