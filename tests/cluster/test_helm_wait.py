"""What `helm --wait` makes of a DatabaseMigration: Helm 4 reads it as kstatus does, as does Flux.

The statuses are written by the test: the operator's own are seen where it runs. The CRD is of a
group of its own, so that no operator answers.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from dbmigrate.api.databasemigration import DatabaseMigrationStatus
from dbmigrate.api.status.condition import Condition
from tests.cluster.clients import await_served, client_program
from tests.cluster.kubectl import Kubectl

CRD = Path(__file__).parents[2] / "crds" / "dbmigrate.dev_databasemigrations.yaml"


@dataclass(frozen=True)
class Waiter:
    """A release that holds one DatabaseMigration."""

    kubectl: Kubectl
    chart: Path
    crd: str

    def helm(self, *arguments: str) -> str:
        """Run `helm upgrade --install`; an empty text if it went well, else what it said."""
        where = [f"--namespace={self.kubectl.namespace}", f"--kubeconfig={self.kubectl.kubeconfig}"]
        done = subprocess.run(
            [client_program("helm"), "upgrade", "--install", *where, *arguments, "app", self.chart],
            check=False,
            capture_output=True,
            text=True,
            env=self.kubectl.environment(),
        )
        return done.stderr if done.returncode else ""

    def write(self, status: DatabaseMigrationStatus) -> None:
        """Write the status as the operator would."""
        patch = {"status": status.model_dump(by_alias=True, exclude_none=True, mode="json")}
        target = ("patch", self.crd, "exams", "--subresource=status", "--type=merge")
        self.kubectl(*target, f"--patch={json.dumps(patch)}")


@pytest.fixture
def waiter(kubectl: Kubectl, namespace: str, tmp_path: Path) -> Iterator[Waiter]:
    """The release is installed, and nothing has looked at its resource yet."""
    chart, group = tmp_path / "chart", f"{namespace}.example"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: app\nversion: 0.1.0\n")
    resource = {
        "apiVersion": f"{group}/v1alpha1",
        "kind": "DatabaseMigration",
        "metadata": {"name": "exams"},
        "spec": {
            "environment": "test",
            "database": {"secretRef": {"name": "db"}},
            "source": {"configMaps": [{"name": "sql"}]},
        },
    }
    (chart / "templates" / "migration.yaml").write_text(yaml.safe_dump(resource))
    made = Waiter(kubectl, chart, f"databasemigrations.{group}")
    definition = CRD.read_text(encoding="utf-8").replace("dbmigrate.dev", group)
    kubectl("create", "--filename=-", stdin=definition)
    await_served(kubectl, group)
    assert made.helm("--wait=hookOnly") == ""
    yield made
    kubectl("delete", "crd", made.crd, "--wait=false")


def status(*, generation: int = 1, **conditions: str) -> DatabaseMigrationStatus:
    """A status with those conditions."""
    return DatabaseMigrationStatus(
        observed_generation=generation,
        conditions=tuple(
            Condition(
                type=kind,
                status=value,
                reason="Because",
                message=f"{kind} is {value}",
                last_transition_time="2026-01-01T00:00:00Z",
            )
            for kind, value in conditions.items()
        ),
    )


def test_a_resource_that_nobody_has_looked_at_is_waited_for(waiter: Waiter) -> None:
    """Without a status kstatus says Current: the CRD's default prevents that."""
    assert "InProgress" in waiter.helm("--wait", "--timeout=2s")


def test_a_ready_resource_ends_the_wait(waiter: Waiter) -> None:
    """Ready=True for the present generation."""
    waiter.write(status(Ready="True"))
    assert waiter.helm("--wait", "--timeout=30s") == ""


@pytest.mark.parametrize(
    "given",
    [
        status(Ready="False", Reconciling="True"),
        status(Ready="True", generation=0),
    ],
    ids=["running", "older generation"],
)
def test_what_is_not_finished_is_waited_for(waiter: Waiter, given: DatabaseMigrationStatus) -> None:
    """A run that goes on, or a status of an older spec."""
    waiter.write(given)
    assert "InProgress" in waiter.helm("--wait", "--timeout=2s")


def test_a_failure_ends_the_wait_at_once_with_its_message(waiter: Waiter) -> None:
    """Nobody waits for minutes for what has failed already."""
    waiter.write(status(Ready="False", Stalled="True"))
    said = waiter.helm("--wait", "--timeout=5m")
    assert "Failed" in said
    assert "Stalled is True" in said
