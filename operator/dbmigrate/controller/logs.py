"""The operator's log: one JSON object a line, each saying which resource it is about."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

_NOBODY: MappingProxyType[str, Any] = MappingProxyType({})
_about: ContextVar[MappingProxyType[str, Any]] = ContextVar("about", default=_NOBODY)


@contextlib.contextmanager
def about(namespace: str, name: str, **more: Any) -> Iterator[None]:
    """Every line that is logged within is about this resource."""
    token = _about.set(MappingProxyType({"namespace": namespace, "name": name, **more}))
    try:
        yield
    finally:
        _about.reset(token)


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, message, then what it is about."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        data: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **_about.get(),
        }
        job = getattr(record, "job", None)
        if job is not None:
            data["job"] = job
        data["logger"] = record.name
        if record.exc_info:
            data["exception"] = self.formatException(record.exc_info)
        return json.dumps(data, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """For people at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        what = _about.get()
        whose = f" [{what['namespace']}/{what['name']}]" if what else ""
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        line = f"{time} {record.levelname:<7}{whose} {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure(level: str, form: str) -> None:
    """Log to stderr in that form (``json`` or ``text``), from that level on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # kopf tells each of its own steps at info; what happens to a resource is told by us.
    logging.getLogger("kopf").setLevel(max(root.level, logging.WARNING))
    logging.getLogger("asyncio").setLevel(max(root.level, logging.WARNING))
