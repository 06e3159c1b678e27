"""`make bench-operator`: how long from `kubectl apply` to Ready, and what the operator costs.

Runs on the tests' cluster (our own node: its audit log and its processes are read), with the
operator installed by the chart and a PostgreSQL with fsync on. Each file has three DDL statements.
Figures go to docs/benchmarks.md between two markers.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench import audit
from tests.cluster import target
from tests.cluster.awaiting import until
from tests.cluster.conftest import create_namespace
from tests.cluster.images import build
from tests.cluster.kubectl import Kubectl
from tests.cluster.migration import Migration, tables
from tests.cluster.operator import NAMESPACE as OPERATOR_NAMESPACE
from tests.cluster.operator import Operator
from tests.cluster.postgres import Database, Server, Servers

NAMESPACE = "dbmigrate-bench"
OPERATOR_USER = "system:serviceaccount:dbmigrate-system:dbmigrate-dbmigrate-operator"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- operator: begin -->", "<!-- operator: end -->"


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
        return migration, database, _files(name, count)

    def apply(self, *objects: dict[str, Any]) -> float:
        """`kubectl apply`; returns when it was started."""
        begun = time.monotonic()
        self.kubectl.apply(*objects)
        return begun


def _files(name: str, count: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-sql"},
        "data": tables(count),
    }


def apply_to_ready(bench: Bench, files: int, rounds: int) -> list[float]:
    """Seconds from `kubectl apply` of a new resource to Ready, each round with a new database."""
    found = []
    for _ in range(rounds):
        migration, database, config_map = bench.fresh(files)
        begun = bench.apply(config_map, migration.manifest())
        found.append(bench.watcher.seen(migration.name, f"1.{files}.0") - begun)
        _drop(bench, migration, database)
    return found


def one_more(bench: Bench, files: int, rounds: int) -> list[float]:
    """Seconds from `kubectl apply` of a ConfigMap with one more file to Ready at it."""
    migration, database, config_map = bench.fresh(files)
    bench.apply(config_map, migration.manifest())
    bench.watcher.seen(migration.name, f"1.{files}.0")
    found = []
    for more in range(1, rounds + 1):
        begun = bench.apply(_files(migration.name, files + more))
        found.append(bench.watcher.seen(migration.name, f"1.{files + more}.0") - begun)
    _drop(bench, migration, database)
    return found


def many_at_once(bench: Bench, resources: int, files: int) -> tuple[float, float]:
    """Seconds until that many resources are Ready, and the machine's CPU seconds meanwhile."""
    made = [bench.fresh(files) for _ in range(resources)]
    objects = [each for m, _, config_map in made for each in (config_map, m.manifest())]
    cpu = _cpu_seconds()
    begun = bench.apply(*objects)
    last = max(bench.watcher.seen(m.name, f"1.{files}.0") for m, _, _ in made)
    used = _cpu_seconds() - cpu
    for migration, database, _ in made:
        _drop(bench, migration, database)
    return last - begun, used


def psql_alone(bench: Bench, files: int) -> float:
    """Seconds that psql takes for the same files, a transaction each, beside the same server."""
    _, database, _ = bench.fresh(files)
    script = "".join(f"BEGIN;\n{text}COMMIT;\n" for text in tables(files).values())
    begun = time.monotonic()
    bench.kubectl(
        *("exec", "--stdin", f"pod/{bench.server.name}", "--", "psql", "--quiet", "--no-psqlrc"),
        *("--set=ON_ERROR_STOP=1", "--host=127.0.0.1", f"--dbname={database.uri}"),
        stdin=script,
    )
    took = time.monotonic() - begun
    database.server.drop_database(database)
    return took


def empty_jobs(bench: Bench, number: int) -> tuple[float, float]:
    """Seconds until that many Jobs that do nothing have ended, and the machine's CPU seconds."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "main",
                "image": bench.operator.image,
                "command": ["true"],
                "securityContext": security,
            }
        ],
    }
    jobs = [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": f"empty-{index}", "labels": {"bench": "empty"}},
            "spec": {"backoffLimit": 0, "template": {"spec": pod}},
        }
        for index in range(number)
    ]
    cpu, begun = _cpu_seconds(), time.monotonic()
    bench.kubectl.apply(*jobs)
    bench.kubectl(
        *("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod"),
        *("--selector=batch.kubernetes.io/job-name", "--timeout=180s"),
        timeout=190,
    )
    took, used = time.monotonic() - begun, _cpu_seconds() - cpu
    bench.kubectl("delete", "jobs", "--selector=bench=empty", "--wait=true")
    return took, used


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
    _drop(bench, migration, database)
    return sorted(
        ((what, (at - created).total_seconds()) for what, at in found), key=lambda e: e[1]
    )


def writes_of_a_life(bench: Bench) -> Counter[str]:
    """The operator's writes to the API for one resource, from its creation to Ready and after."""
    migration, database, config_map = bench.fresh(1)
    offset = audit.size()
    bench.apply(config_map, migration.manifest())
    bench.watcher.seen(migration.name, "1.1.0")
    time.sleep(5)  # whatever is still to come, comes
    counted = _operator_writes(offset)
    _drop(bench, migration, database)
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
    idle_writes = _operator_writes(offset)
    offset = audit.size()
    bench.operator.restart()
    time.sleep(15)
    restart_writes = _operator_writes(offset)
    restarted = _memory(bench.operator)
    for migration, database, _ in made:
        _drop(bench, migration, database)
    return {
        "memory idle": before,
        f"memory with {resources}": memory,
        f"memory after a restart with {resources}": restarted,
        "idle writes": sum(idle_writes.values()),
        "restart writes": sum(restart_writes.values()),
    }


def _operator_writes(offset: int) -> Counter[str]:
    return Counter(str(w) for w in audit.since(offset) if w.user == OPERATOR_USER)


def _drop(bench: Bench, migration: Migration, database: Database) -> None:
    migration.delete()
    bench.kubectl("delete", "secret", f"{migration.name}-db", "--ignore-not-found")
    bench.kubectl("delete", "configmap", f"{migration.name}-sql", "--ignore-not-found")
    database.server.drop_database(database)


def _cpu_seconds() -> float:
    fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    user, nice, system, _, _, irq, softirq = (int(each) for each in fields[:7])
    return (user + nice + system + irq + softirq) / 100


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


def _row(name: str, seconds: list[float], aim: str, peer: str) -> str:
    return (
        f"| {name} | {statistics.median(seconds):.2f} s | {max(seconds):.2f} s | {aim} | {peer} |"
    )


def main() -> int:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="rounds of the small measurements")
    parser.add_argument("--idle", type=float, default=600, help="seconds of idleness")
    parser.add_argument("--resources", type=int, default=100, help="settled resources")
    parser.add_argument("--dry-run", action="store_true", help="print only")
    options = parser.parse_args()

    kind = target.kind_cluster()
    kind.create()
    kubectl = Kubectl(Path(kind.kubectl_path), Path(kind.kubeconfig_path))
    cluster = target.Cluster(kubectl, kind, own_node=True)
    image, postgres = build.project_image(), build.postgres_image()
    cluster.load(image)
    cluster.load(postgres)
    operator = Operator(kubectl.within(OPERATOR_NAMESPACE), image)
    operator.install(log__level="info")
    operator.restart()
    create_namespace(kubectl, NAMESPACE)
    mine = kubectl.within(NAMESPACE)
    with ExitStack() as stack:
        servers = stack.enter_context(Servers(cluster, NAMESPACE, postgres))
        stack.callback(kubectl, "delete", "namespace", NAMESPACE, "--wait=false")
        server = servers.start(settings=("fsync=on", "full_page_writes=on", "max_connections=500"))
        watcher = Watcher(mine)
        watcher.start()
        text = _measure(Bench(mine, server, watcher, operator), options)
    print(text)
    if not options.dry_run:
        page = PAGE.read_text(encoding="utf-8")
        head, _, rest = page.partition(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return 0


def _measure(bench: Bench, options: argparse.Namespace) -> str:
    apply_to_ready(bench, 1, 1)  # the first pod pays for what is cold
    few = max(options.rounds // 4, 1)
    rows = [
        _row("1 file", apply_to_ready(bench, 1, options.rounds), "1.5 s", "0.31 s"),
        _row("50 files", apply_to_ready(bench, 50, few), "", "1.00 s"),
        _row("300 files", apply_to_ready(bench, 300, few), "2.5 s", "5.33 s"),
        _row("one more on 300", one_more(bench, 300, options.rounds), "1.5 s", "0.75 s"),
    ]
    print("\n".join(rows), flush=True)
    seconds, cpu = many_at_once(bench, 50, 5)
    rows.append(f"| 50 resources of 5 files at once | {seconds:.2f} s | | 15 s | 6.15 s |")
    empty_seconds, empty_cpu = empty_jobs(bench, 50)
    psql = psql_alone(bench, 300)
    life = writes_of_a_life(bench)
    costs = settled(bench, options.resources, options.idle)
    floor = (
        f"50 resources at once took {cpu:.1f} CPU seconds of the machine (Atlas: 10.9). The floor "
        f"in the same run: 50 Jobs that run `true` took {empty_seconds:.2f} s and {empty_cpu:.1f} "
        f"CPU seconds; psql alone took {psql:.2f} s for 300 such files on the same server."
    )
    when = datetime.now(UTC).date().isoformat()
    counted = ", ".join(f"{n} {write}" for write, n in life.items())
    settled_ones = f"{options.resources} resources"
    lines = [
        f"Measured on {when}, {options.rounds} rounds ({few} for 50 and 300 files).",
        "",
        "| `kubectl apply` to Ready | median | worst | aim | Atlas operator |",
        "|---|---|---|---|---|",
        *rows,
        "",
        floor,
        "",
        "| cost | measured | aim |",
        "|---|---|---|",
        f"| writes for one life ({counted}) | {sum(life.values())} | 6 |",
        f"| writes in {options.idle:.0f} idle s, {settled_ones} | {costs['idle writes']} | 0 |",
        f"| writes at a restart, {settled_ones} | {costs['restart writes']} | 0 |",
        *(
            f"| {name} | {value:.0f} MB | 120 MB |"
            for name, value in costs.items()
            if "memory" in name
        ),
        "",
        "Where the time of one file goes, in seconds after the resource was created:",
        "",
        "| at | what |",
        "|---|---|",
        *(f"| {at:.3f} | {what} |" for what, at in stages(bench)),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
