"""Where the time of one life goes, by the audit log and the runner's."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime

from tests.bench import audit
from tests.bench.operator.bench import NAMESPACE, OPERATOR_USER, Bench, drop


def stages(bench: Bench) -> list[tuple[str, float]]:
    """Where the time of one life goes: seconds after the resource's creation, by audit and log."""
    migration, database, config_map = bench.fresh(1)
    bench.apply(config_map)
    offset = audit.size()
    bench.apply(migration.manifest())
    bench.watcher.seen(migration.name, "1.1.0")
    pod = bench.kubectl(
        "get",
        "pods",
        f"--selector=job-name={migration.jobs()[0]['metadata']['name']}",
        "--output=name",
    ).strip()
    log = bench.kubectl("logs", pod, "--timestamps")
    time.sleep(1)  # the audit log is written behind the answers
    writes = audit.since(offset)
    created = next(w.at for w in writes if w.resource == "databasemigrations")
    found: list[tuple[str, datetime]] = []
    for write in writes:
        if write.namespace != NAMESPACE:
            continue
        ours = write.user == OPERATOR_USER
        if ours or write.subresource in ("binding", "status") or write.resource in ("jobs", "pods"):
            who = "operator" if ours else write.user.rpartition(":")[2]
            found.append((f"{who}: {write}", write.at))
    for line in log.splitlines():
        stamp, _, text = line.partition(" ")
        event = json.loads(text).get("event")
        at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", stamp))
        found.append((f"runner: {event}", at))
    drop(bench, migration, database)
    return sorted(
        ((what, (at - created).total_seconds()) for what, at in found), key=lambda e: e[1]
    )
