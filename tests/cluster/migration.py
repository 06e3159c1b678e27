"""A DatabaseMigration as a test works with it: applied, changed, looked at, awaited."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cluster.awaiting import until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.cluster.kubectl import Kubectl

SAMPLE = Path(__file__).parents[2] / "migrations"


def sample_files() -> tuple[dict[str, str], dict[str, str]]:
    """The sample's migrations and rollbacks, by file name."""
    migrations = {file.name: file.read_text() for file in sorted(SAMPLE.glob("*.sql"))}
    folder = SAMPLE / "rollbacks"
    return migrations, {file.name: file.read_text() for file in sorted(folder.glob("*.sql"))}


def table(number: int, *, rollback: bool = False) -> str:
    """SQL of a migration that makes a table of its own, or of its rollback."""
    if rollback:
        return f"DROP TABLE t{number};\n"
    return (
        f"CREATE TABLE t{number} (id bigint PRIMARY KEY, note text NOT NULL);\n"
        f"CREATE INDEX t{number}_note_idx ON t{number} (note);\n"
        f"COMMENT ON TABLE t{number} IS 'number {number}';\n"
    )


def tables(count: int, *, first: int = 1) -> dict[str, str]:
    """So many migrations v1.N.0_table.sql, each of three statements."""
    return {f"v1.{n}.0_table.sql": table(n) for n in range(first, first + count)}


def drops(count: int, *, first: int = 1) -> dict[str, str]:
    """The rollbacks of `tables`."""
    return {f"v1.{n}.0_rollback.sql": table(n, rollback=True) for n in range(first, first + count)}


@dataclass
class Migration:
    """One DatabaseMigration of a test, with ConfigMaps `<name>-sql` and `<name>-rollbacks`."""

    kubectl: Kubectl
    name: str = "exams"
    secret: str = "database"
    spec: dict[str, Any] = field(default_factory=dict)

    def files(self, migrations: Mapping[str, str], rollbacks: Mapping[str, str] = {}) -> None:
        """Write the ConfigMaps; what they held before is replaced."""
        for suffix, content in (("sql", migrations), ("rollbacks", rollbacks)):
            self.config_map(f"{self.name}-{suffix}", content)

    def config_map(self, name: str, content: Mapping[str, str]) -> None:
        """Write one ConfigMap; it may be too large for `kubectl apply`'s annotation."""
        document = json.dumps(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name},
                "data": dict(content),
            }
        )
        known = self.kubectl("get", "configmap", name, "--ignore-not-found", "--output=name")
        self.kubectl("replace" if known else "create", "--filename=-", stdin=document)

    def manifest(self) -> dict[str, Any]:
        """What `apply` applies."""
        return {
            "apiVersion": "dbmigrate.dev/v1alpha1",
            "kind": "DatabaseMigration",
            "metadata": {"name": self.name},
            "spec": {
                "environment": "testing",
                "database": {"secretRef": {"name": self.secret}},
                "source": {
                    "configMaps": [
                        {"name": f"{self.name}-sql"},
                        {"name": f"{self.name}-rollbacks", "path": "rollbacks"},
                    ]
                },
                **self.spec,
            },
        }

    def apply(self, **spec: Any) -> None:
        """Apply the resource; fields of the spec that are given stay for later calls."""
        self.spec.update(spec)
        self.kubectl.apply(self.manifest())

    def annotate(self, annotation: str) -> None:
        """Set an annotation, `name=value`."""
        self.kubectl("annotate", "--overwrite", "dbm", self.name, annotation)

    def delete(self, *, timeout: float = 30) -> None:
        """Delete the resource, and wait until it is gone."""
        self.kubectl("delete", "dbm", self.name, f"--timeout={timeout}s", timeout=timeout + 5)

    def get(self) -> dict[str, Any]:
        """The resource as the API server has it."""
        found: dict[str, Any] = self.kubectl.json("get", "dbm", self.name)
        return found

    def status(self) -> dict[str, Any]:
        """Its status; empty when it has none yet."""
        found: dict[str, Any] = self.get().get("status", {})
        return found

    def condition(self, kind: str) -> dict[str, Any]:
        """One condition; empty when it is not there."""
        return _condition(self.status(), kind)

    def jobs(self, action: str = "migrate") -> list[dict[str, Any]]:
        """The resource's Jobs of one kind, oldest first."""
        found = self.kubectl.json("get", "jobs", f"--selector=dbmigrate.dev/action={action}")
        uid = self.get()["metadata"]["uid"]
        mine = [
            job
            for job in found["items"]
            if any(owner["uid"] == uid for owner in job["metadata"].get("ownerReferences", []))
        ]
        return sorted(mine, key=lambda job: job["metadata"]["creationTimestamp"])

    def await_phase(
        self, phase: str, *, version: str | None = None, digest_not: str = "", timeout: float = 60
    ) -> dict[str, Any]:
        """Wait until the status speaks of the present spec and has this phase; return the status.

        Args:
            phase: The phase that must come.
            version: The current version that must come with it.
            digest_not: The source's digest of before: the status must speak of another source.
            timeout: Seconds until the test fails.
        """

        def look() -> dict[str, Any] | None:
            found = self.get()
            status: dict[str, Any] = found.get("status", {})
            there = (
                status.get("observedGeneration") == found["metadata"]["generation"]
                and status.get("phase") == phase
                and (version is None or status.get("currentVersion") == version)
                and (not digest_not or status.get("sourceDigest") != digest_not)
            )
            return status if there else None

        found = until(
            look,
            f"{self.name} is {phase}" + (f" at {version}" if version else ""),
            timeout=timeout,
            shown=lambda: json.dumps(self.status(), indent=1),
        )
        assert found is not None
        return found

    def await_status(self, what: str, look: Any, *, timeout: float = 60) -> dict[str, Any]:
        """Wait until a function of the status says yes; return the status."""

        def ask() -> dict[str, Any] | None:
            status = self.status()
            return status if look(status) else None

        found = until(ask, what, timeout=timeout, shown=lambda: json.dumps(self.status(), indent=1))
        assert found is not None
        return found

    def runner_pod(self) -> str:
        """Name of the running runner's pod, once its container runs."""

        def look() -> str:
            pods = self.kubectl.json("get", "pods", "--selector=dbmigrate.dev/action=migrate")
            for pod in pods["items"]:
                states = pod["status"].get("containerStatuses", [])
                if any("running" in state["state"] for state in states):
                    return str(pod["metadata"]["name"])
            return ""

        return until(look, "a runner's pod is running")


def _condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    for each in status.get("conditions", []):
        if each["type"] == kind:
            found: dict[str, Any] = each
            return found
    return {}


def condition_of(status: dict[str, Any], kind: str) -> dict[str, Any]:
    """One condition of a status; empty when it is not there."""
    return _condition(status, kind)
