"""An Event of the resource."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from dbmigrate.api import names
from dbmigrate.controller.decision import EventNote
from dbmigrate.controller.manifests.owner import Owner, api_version
from dbmigrate.controller.timestamps import format_time


def event_manifest(
    owner: Owner, note: EventNote, *, now: datetime, identity: str
) -> dict[str, Any]:
    """A core/v1 Event. Its name comes from what it tells: two operators tell it once."""
    digest = hashlib.sha256(f"{owner.uid}/{note.reason}/{note.key}".encode()).hexdigest()[:16]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{owner.name}.{digest}", "namespace": owner.namespace},
        "involvedObject": {
            "apiVersion": api_version(),
            "kind": names.KIND,
            "namespace": owner.namespace,
            "name": owner.name,
            "uid": owner.uid,
        },
        "type": note.type.value,
        "reason": note.reason,
        "message": note.message,
        "firstTimestamp": format_time(now),
        "lastTimestamp": format_time(now),
        "count": 1,
        "action": note.reason,
        "source": {"component": names.MANAGER},
        "reportingComponent": names.MANAGER,
        "reportingInstance": identity[:128],
    }
