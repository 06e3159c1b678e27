"""The chart in a real cluster: admitted, upgraded, uninstalled, by the real helm.

The CRD is the cluster's one and only, which other tests use: here a copy of the chart brings one of
another group. No operator is started (replicas 0); that it becomes ready is seen elsewhere.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.clients import await_served, client_program
from tests.cluster.kubectl import Kubectl, KubectlError

CHART = Path(__file__).parents[2] / "charts" / "dbmigrate-operator"
CRD_FILE = "files/crds/dbmigrate.dev_databasemigrations.yaml"


@dataclass(frozen=True)
class Release:
    """A copy of the chart, and where it is installed."""

    chart: Path
    kubectl: Kubectl
    namespace: str

    @property
    def group(self) -> str:
        """The API group of its CRD."""
        return f"{self.namespace}.example"

    @property
    def crd(self) -> str:
        """Its CRD's name."""
        return f"databasemigrations.{self.group}"

    @property
    def account(self) -> str:
        """The operator's name for the API server."""
        return f"system:serviceaccount:{self.namespace}:chart-dbmigrate-operator"

    def helm(self, verb: str, *arguments: str) -> str:
        """Run helm for this release."""
        chart = [str(self.chart)] if verb in ("install", "upgrade", "template") else []
        where = [f"--namespace={self.namespace}", f"--kubeconfig={self.kubectl.kubeconfig}"]
        done = subprocess.run(
            [client_program("helm"), verb, "chart", *chart, *where, *arguments],
            check=False,
            capture_output=True,
            text=True,
            env=self.kubectl.environment(),
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def release(kubectl: Kubectl, namespace: str, tmp_path: Path) -> Iterator[Release]:
    """A copy of the chart with a CRD of its own; what it leaves behind is removed."""
    made = Release(Path(shutil.copytree(CHART, tmp_path / "chart")), kubectl, namespace)
    file = made.chart / CRD_FILE
    file.write_text(file.read_text(encoding="utf-8").replace("dbmigrate.dev", made.group))
    yield made
    kubectl("delete", "crd", made.crd, "--ignore-not-found", "--wait=false")
    mine = f"dbmigrate.test/namespace={namespace}"
    kubectl("delete", "clusterrole,clusterrolebinding", f"--selector={mine}")


def _values(release: Release) -> tuple[str, ...]:
    return (
        "--set=replicas=0",
        f"--set=commonLabels.dbmigrate\\.test/namespace={release.namespace}",
    )


def test_the_operators_pod_is_restricted(kubectl: Kubectl, release: Release) -> None:
    """The API server admits it where only restricted pods are admitted."""
    objects = yaml.safe_load_all(release.helm("template"))
    deployment = next(each for each in objects if each and each["kind"] == "Deployment")
    template = deployment["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "operator"}}
    pod["spec"] = {**template["spec"], "serviceAccountName": "default"}
    dry_run = ("create", "--dry-run=server", "--output=name", "--filename=-")
    assert kubectl(*dry_run, stdin=json.dumps(pod)) == "pod/operator\n"

    # The namespace does refuse what is not.
    del pod["spec"]["containers"][0]["securityContext"]["capabilities"]
    with pytest.raises(KubectlError, match="violates PodSecurity"):
        kubectl(*dry_run, stdin=json.dumps(pod))


def test_an_upgrade_upgrades_the_crd(kubectl: Kubectl, release: Release) -> None:
    """A later release's fields are there after `helm upgrade`."""
    release.helm("install", *_values(release))
    file = release.chart / CRD_FILE
    crd = yaml.safe_load(file.read_text(encoding="utf-8"))
    column = {"name": "Later", "type": "string", "jsonPath": ".spec.later"}
    crd["spec"]["versions"][0]["additionalPrinterColumns"].append(column)
    file.write_text(yaml.safe_dump(crd), encoding="utf-8")
    release.helm("upgrade", *_values(release))
    (version,) = kubectl.json("get", "crd", release.crd)["spec"]["versions"]
    assert version["additionalPrinterColumns"][-1]["name"] == "Later"


def test_uninstalling_leaves_the_crd_and_its_resources(kubectl: Kubectl, release: Release) -> None:
    """Nobody loses the record of a production database by removing a program."""
    release.helm("install", *_values(release))
    await_served(kubectl, release.group)
    kubectl.apply(_migration(release))
    release.helm("uninstall", "--wait")
    assert kubectl("get", release.crd, "--output=name").endswith("/kept\n")
    assert kubectl("get", "deployment", "--output=name") == ""


def test_the_kept_crd_is_taken_up_by_the_next_install(kubectl: Kubectl, release: Release) -> None:
    """Uninstalling and installing again needs no manual step."""
    release.helm("install", *_values(release))
    before = kubectl.json("get", "crd", release.crd)["metadata"]["uid"]
    release.helm("uninstall", "--wait")
    release.helm("install", *_values(release))
    assert kubectl.json("get", "crd", release.crd)["metadata"]["uid"] == before


RIGHTS = {
    ("create", "batch/jobs"): True,
    ("patch", "dbmigrate.dev/databasemigrations/status"): True,
    ("patch", "/pods"): True,
    ("get", "/pods/log"): True,
    ("get", "/secrets"): False,
    ("list", "/secrets"): False,
    ("patch", "dbmigrate.dev/databasemigrations"): False,
    ("create", "/pods"): False,
    ("create", "/pods/exec"): False,
    ("update", "/configmaps"): False,
    ("create", "/serviceaccounts/token"): False,
}


def test_the_api_server_lets_the_operator_do_only_its_work(release: Release) -> None:
    """Asked of the real authorizer, in a namespace of someone else."""
    release.helm("install", *_values(release), "--set=crds.install=false")
    assert {right: _may(release, "default", *right) for right in RIGHTS} == RIGHTS


def test_a_list_of_namespaces_ends_at_their_borders(release: Release) -> None:
    """With watch.namespaces the operator has no right in any other namespace."""
    listed = f"--set=watch.namespaces={{{release.namespace}}}"
    release.helm("install", *_values(release), "--set=crds.install=false", listed)
    assert _may(release, release.namespace, "create", "batch/jobs")
    assert not _may(release, "default", "create", "batch/jobs")


def _may(release: Release, namespace: str, verb: str, resource: str) -> bool:
    """The authorizer's answer for `group/resource/subresource`."""
    group, _, path = resource.partition("/")
    name, _, subresource = path.partition("/")
    attributes = {"namespace": namespace, "verb": verb, "group": group}
    attributes |= {"resource": name, "subresource": subresource}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": release.account, "resourceAttributes": attributes},
    }
    create = ("create", "--filename=-", "--output=jsonpath={.status.allowed}")
    answer = release.kubectl(*create, stdin=json.dumps(review))
    assert answer in ("true", "false")
    return answer == "true"


def _migration(release: Release) -> dict[str, Any]:
    return {
        "apiVersion": f"{release.group}/v1alpha1",
        "kind": "DatabaseMigration",
        "metadata": {"name": "kept"},
        "spec": {
            "environment": "test",
            "database": {"secretRef": {"name": "db"}},
            "source": {"configMaps": [{"name": "sql"}]},
        },
    }
