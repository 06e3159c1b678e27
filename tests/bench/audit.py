"""The API server's audit log: who wrote what, and when, to the microsecond."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.cluster.node.settings import Layout


@dataclass(frozen=True)
class Write:
    """One write to the API."""

    at: datetime
    user: str
    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """As people say it: ``patch databasemigrations/status``."""
        subresource = f"/{self.subresource}" if self.subresource else ""
        return f"{self.verb} {self.resource}{subresource}"


def size() -> int:
    """How long the log is now, in bytes: where `since` begins later."""
    path = _path()
    return path.stat().st_size if path.exists() else 0


def since(offset: int) -> list[Write]:
    """All writes that ended after that place in the log."""
    with _path().open("rb") as log:
        log.seek(offset)
        lines = log.read().splitlines()
    return [_parse(json.loads(line)) for line in lines]


def _path() -> Path:
    return Layout.of_user().audit_log


def _parse(entry: dict[str, object]) -> Write:
    reference = entry.get("objectRef") or {}
    user = entry["user"]
    assert isinstance(reference, dict)
    assert isinstance(user, dict)
    return Write(
        at=datetime.fromisoformat(str(entry["requestReceivedTimestamp"])),
        user=str(user["username"]),
        verb=str(entry["verb"]),
        resource=reference.get("resource", ""),
        subresource=reference.get("subresource", ""),
        namespace=reference.get("namespace", ""),
        name=reference.get("name", ""),
    )
