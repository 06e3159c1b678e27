"""How long it takes from `kubectl apply` to Ready, and the floor below that."""

from __future__ import annotations

import time
from pathlib import Path

from tests.bench.operator.bench import Bench, config_map_of, drop
from tests.cluster.migration import tables


def apply_to_ready(bench: Bench, files: int, rounds: int) -> list[float]:
    """Seconds from `kubectl apply` of a new resource to Ready, each round with a new database."""
    found = []
    for _ in range(rounds):
        migration, database, config_map = bench.fresh(files)
        begun = bench.apply(config_map, migration.manifest())
        found.append(bench.watcher.seen(migration.name, f"1.{files}.0") - begun)
        drop(bench, migration, database)
    return found


def one_more(bench: Bench, files: int, rounds: int) -> list[float]:
    """Seconds from `kubectl apply` of a ConfigMap with one more file to Ready at it."""
    migration, database, config_map = bench.fresh(files)
    bench.apply(config_map, migration.manifest())
    bench.watcher.seen(migration.name, f"1.{files}.0")
    found = []
    for more in range(1, rounds + 1):
        begun = bench.apply(config_map_of(migration.name, files + more))
        found.append(bench.watcher.seen(migration.name, f"1.{files + more}.0") - begun)
    drop(bench, migration, database)
    return found


def many_at_once(bench: Bench, resources: int, files: int) -> tuple[float, float]:
    """Seconds until that many resources are Ready, and the machine's CPU seconds meanwhile."""
    made = [bench.fresh(files) for _ in range(resources)]
    objects = [each for m, _, config_map in made for each in (config_map, m.manifest())]
    cpu = cpu_seconds()
    begun = bench.apply(*objects)
    last = max(bench.watcher.seen(m.name, f"1.{files}.0") for m, _, _ in made)
    used = cpu_seconds() - cpu
    for migration, database, _ in made:
        drop(bench, migration, database)
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
    cpu, begun = cpu_seconds(), time.monotonic()
    bench.kubectl.apply(*jobs)
    bench.kubectl(
        *("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod"),
        *("--selector=batch.kubernetes.io/job-name", "--timeout=180s"),
        timeout=190,
    )
    took, used = time.monotonic() - begun, cpu_seconds() - cpu
    bench.kubectl("delete", "jobs", "--selector=bench=empty", "--wait=true")
    return took, used


def cpu_seconds() -> float:
    """CPU seconds that the machine has used since it was started."""
    fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    user, nice, system, _, _, irq, softirq = (int(each) for each in fields[:7])
    return (user + nice + system + irq + softirq) / 100
