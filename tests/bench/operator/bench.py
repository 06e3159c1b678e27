"""What all measurements share: resources with databases of their own, and when each was Ready."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from tests.cluster.awaiting import until
from tests.cluster.kubectl import Kubectl
from tests.cluster.migration import Migration, tables
from tests.cluster.operator import Operator
from tests.cluster.postgres import Database, Server

NAMESPACE = "dbmigrate-bench"
OPERATOR_USER = "system:serviceaccount:dbmigrate-system:dbmigrate-dbmigrate-operator"


@dataclass
class Watcher:
    """Notes when each resource of the namespace is first seen Ready, and at which version."""

    kubectl: Kubectl
    ready: dict[tuple[str, str], float] = field(default_factory=dict)

    def start(self) -> None:
        """Begin to watch, in a thread."""
        command = self.kubectl.command("get", "dbm", "--watch", "--output=json")
        process = subprocess.Popen(
            [*command, "--output-watch-events"],
            stdout=subprocess.PIPE,
            text=True,
            env=self.kubectl.environment(),
        )
        threading.Thread(target=self._read, args=(process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._note(json.loads(line)["object"], time.monotonic())

    def _note(self, resource: dict[str, Any], at: float) -> None:
        status = resource.get("status", {})
        fresh = status.get("observedGeneration") == resource["metadata"]["generation"]
        ready = any(
            c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", [])
        )
        if fresh and ready:
            key = (resource["metadata"]["name"], status.get("currentVersion", ""))
            self.ready.setdefault(key, at)

    def seen(self, name: str, version: str, *, timeout: float = 180) -> float:
        """When the resource was first seen Ready at that version; waits for it."""
        return (
            until(
                lambda: self.ready.get((name, version)),
                f"{name} at {version}",
                timeout=timeout,
                every=0.02,
            )
            or 0.0
        )


@dataclass
class Bench:
    """What all measurements share."""

    kubectl: Kubectl
    server: Server
    watcher: Watcher
    operator: Operator
    numbers: int = 0

    def fresh(self, count: int) -> tuple[Migration, Database, dict[str, Any]]:
        """A new database, and what a single `kubectl apply` of so many files takes."""
        self.numbers += 1
        name = f"b{self.numbers}"
        database = self.server.create_database()
        self.kubectl.apply(database.secret(f"{name}-db"))
        migration = Migration(self.kubectl, name=name, secret=f"{name}-db")
        migration.spec["source"] = {"configMaps": [{"name": f"{name}-sql"}]}
        return migration, database, config_map_of(name, count)

    def apply(self, *objects: dict[str, Any]) -> float:
        """`kubectl apply`; returns when it was started."""
        begun = time.monotonic()
        self.kubectl.apply(*objects)
        return begun


def config_map_of(name: str, count: int) -> dict[str, Any]:
    """A ConfigMap with so many files."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-sql"},
        "data": tables(count),
    }


def drop(bench: Bench, migration: Migration, database: Database) -> None:
    """Take away what `Bench.fresh` has made."""
    migration.delete()
    bench.kubectl("delete", "secret", f"{migration.name}-db", "--ignore-not-found")
    bench.kubectl("delete", "configmap", f"{migration.name}-sql", "--ignore-not-found")
    database.server.drop_database(database)
