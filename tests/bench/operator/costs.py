"""What the operator costs: writes to the API, and memory."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.bench import audit
from tests.bench.operator.bench import OPERATOR_USER, Bench, drop
from tests.cluster.operator import Operator


def writes_of_a_life(bench: Bench) -> Counter[str]:
    """The operator's writes to the API for one resource, from its creation to Ready and after."""
    migration, database, config_map = bench.fresh(1)
    offset = audit.size()
    bench.apply(config_map, migration.manifest())
    bench.watcher.seen(migration.name, "1.1.0")
    time.sleep(5)  # whatever is still to come, comes
    counted = operator_writes(offset)
    drop(bench, migration, database)
    return counted


def settled(bench: Bench, resources: int, idle: float) -> dict[str, Any]:
    """Writes while idle and at a restart, and memory, with that many settled resources."""
    before = _memory(bench.operator)
    made = [bench.fresh(1) for _ in range(resources)]
    bench.apply(*(each for m, _, config_map in made for each in (config_map, m.manifest())))
    for migration, _, _ in made:
        bench.watcher.seen(migration.name, "1.1.0", timeout=300)
    time.sleep(5)
    memory = _memory(bench.operator)
    offset = audit.size()
    time.sleep(idle)
    idle_writes = operator_writes(offset)
    offset = audit.size()
    bench.operator.restart()
    time.sleep(15)
    restart_writes = operator_writes(offset)
    restarted = _memory(bench.operator)
    for migration, database, _ in made:
        drop(bench, migration, database)
    return {
        "memory idle": before,
        f"memory with {resources}": memory,
        f"memory after a restart with {resources}": restarted,
        "idle writes": sum(idle_writes.values()),
        "restart writes": sum(restart_writes.values()),
    }


def operator_writes(offset: int) -> Counter[str]:
    """The operator's writes to the API since that place of the audit log."""
    return Counter(str(w) for w in audit.since(offset) if w.user == OPERATOR_USER)


def _memory(operator: Operator) -> float:
    """Resident memory of the operator's process, in MB (as the kernel counts RSS)."""
    del operator
    found = [
        int(status.partition("VmRSS:")[2].split()[0]) / 1000
        for process in Path("/proc").glob("[0-9]*")
        if "dbmigrate-operator" in _read(process / "cmdline")
        and (status := _read(process / "status"))
        and "VmRSS:" in status
    ]
    return max(found, default=0.0)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
