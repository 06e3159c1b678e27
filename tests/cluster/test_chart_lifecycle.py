"""The chart in a real cluster: admitted, upgraded, uninstalled, by the real helm.

The CRD is the cluster's one and only, which other tests use: here a copy of the chart brings one of
another group. No operator is started (replicas 0); that it becomes ready is seen elsewhere.
"""

import json
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from pytest_kind import KindCluster

from tests.cluster.clients import client_program

CHART = Path(__file__).parents[2] / "charts" / "dbmigrate-operator"
CRD_FILE = "files/crds/dbmigrate.dev_databasemigrations.yaml"

Kubectl = Callable[..., str]


@dataclass(frozen=True)
class Release:
    """A copy of the chart, and where it is installed."""

    chart: Path
    namespace: str
    crd: str
    environment: dict[str, str]

    def helm(self, verb: str, *arguments: str) -> str:
        """Run helm for this release."""
        chart = [str(self.chart)] if verb in ("install", "upgrade", "template") else []
        done = subprocess.run(
            [client_program("helm"), verb, "chart", *chart, "-n", self.namespace, *arguments],
            check=False,
            capture_output=True,
            text=True,
            env=self.environment,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def kubectl(kind_cluster: KindCluster, tmp_path: Path) -> Kubectl:
    """Run kubectl; `manifest` is what it reads with -f."""

    def run(*arguments: str, manifest: Any = None, check: bool = True) -> str:
        if manifest is not None:
            file = tmp_path / f"{uuid.uuid4().hex}.json"
            file.write_text(json.dumps(manifest))
            arguments = (*arguments, "-f", str(file))
        done = subprocess.run(
            [kind_cluster.kubectl_path, f"--kubeconfig={kind_cluster.kubeconfig_path}", *arguments],
            check=check,
            capture_output=True,
            text=True,
        )
        return done.stdout if done.returncode == 0 else done.stderr

    return run


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[str]:
    """A namespace that admits restricted pods only."""
    name = f"chart-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def release(
    kubectl: Kubectl, kind_cluster: KindCluster, namespace: str, tmp_path: Path
) -> Iterator[Release]:
    """A copy of the chart with a CRD of its own; what it leaves behind is removed."""
    chart = Path(shutil.copytree(CHART, tmp_path / "chart"))
    group = f"{namespace}.example"
    file = chart / CRD_FILE
    file.write_text(file.read_text(encoding="utf-8").replace("dbmigrate.dev", group))
    environment = {
        "KUBECONFIG": str(Path(kind_cluster.kubeconfig_path).absolute()),
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
    }
    crd = f"databasemigrations.{group}"
    yield Release(chart, namespace, crd, environment)
    kubectl("delete", "crd", crd, "--ignore-not-found", "--wait=false")
    mine = f"app.kubernetes.io/instance=chart,dbmigrate.test/namespace={namespace}"
    kubectl("delete", "clusterrole,clusterrolebinding", "-l", mine)


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
    dry_run = ("create", "-n", release.namespace, "--dry-run=server", "-o", "name")
    assert kubectl(*dry_run, manifest=pod) == "pod/operator\n"

    # The namespace does refuse what is not.
    del pod["spec"]["containers"][0]["securityContext"]["capabilities"]
    assert "violates PodSecurity" in kubectl(*dry_run, manifest=pod, check=False)


def test_an_upgrade_upgrades_the_crd(kubectl: Kubectl, release: Release) -> None:
    """A later release's fields are there after `helm upgrade`."""
    release.helm("install", *_values(release))
    file = release.chart / CRD_FILE
    crd = yaml.safe_load(file.read_text(encoding="utf-8"))
    column = {"name": "Later", "type": "string", "jsonPath": ".spec.later"}
    crd["spec"]["versions"][0]["additionalPrinterColumns"].append(column)
    file.write_text(yaml.safe_dump(crd), encoding="utf-8")
    release.helm("upgrade", *_values(release))
    columns = json.loads(kubectl("get", "crd", release.crd, "-o", "json"))["spec"]["versions"][0]
    assert columns["additionalPrinterColumns"][-1]["name"] == "Later"


def test_uninstalling_leaves_the_crd_and_its_resources(kubectl: Kubectl, release: Release) -> None:
    """Nobody loses the record of a production database by removing a program."""
    release.helm("install", *_values(release))
    kubectl("wait", "--for=condition=Established", f"crd/{release.crd}", "--timeout=30s")
    kubectl("create", "-n", release.namespace, manifest=_migration(release))
    release.helm("uninstall", "--wait")
    left = kubectl("get", "-n", release.namespace, release.crd, "-o", "name")
    assert left.startswith("databasemigration.")
    assert kubectl("get", "-n", release.namespace, "deployment", "-o", "name") == ""


def test_the_kept_crd_is_taken_up_by_the_next_install(kubectl: Kubectl, release: Release) -> None:
    """Uninstalling and installing again needs no manual step."""
    release.helm("install", *_values(release))
    release.helm("uninstall", "--wait")
    release.helm("install", *_values(release))
    assert kubectl("get", "crd", release.crd, "-o", "name")


@pytest.mark.parametrize(
    ("wish", "answer"),
    [
        (("create", "jobs.batch"), "yes"),
        (("patch", "databasemigrations.dbmigrate.dev", "--subresource=status"), "yes"),
        (("get", "pods", "--subresource=log"), "yes"),
        (("get", "secrets"), "no"),
        (("list", "secrets"), "no"),
        (("patch", "databasemigrations.dbmigrate.dev"), "no"),
        (("create", "pods"), "no"),
        (("create", "pods", "--subresource=exec"), "no"),
        (("update", "configmaps"), "no"),
        (("create", "serviceaccounts", "--subresource=token"), "no"),
    ],
    ids=lambda value: "-".join(value).replace("--subresource=", "") if type(value) is tuple else "",
)
def test_the_api_server_lets_the_operator_do_only_its_work(
    kubectl: Kubectl, release: Release, wish: tuple[str, ...], answer: str
) -> None:
    """Asked of the real authorizer, in a namespace of someone else."""
    release.helm("install", *_values(release), "--set=crds.install=false")
    account = f"system:serviceaccount:{release.namespace}:chart-dbmigrate-operator"
    said = kubectl("auth", "can-i", *wish, f"--as={account}", "-n", "default", check=False)
    assert (said.splitlines() or ["no"])[0] == answer


def test_a_list_of_namespaces_ends_at_their_borders(kubectl: Kubectl, release: Release) -> None:
    """With watch.namespaces the operator has no right in any other namespace."""
    listed = f"--set=watch.namespaces={{{release.namespace}}}"
    release.helm("install", *_values(release), "--set=crds.install=false", listed)
    account = f"--as=system:serviceaccount:{release.namespace}:chart-dbmigrate-operator"
    wish = ("auth", "can-i", "create", "jobs.batch", account, "-n")
    assert kubectl(*wish, release.namespace) == "yes\n"
    assert kubectl(*wish, "default", check=False) != "yes\n"


def _migration(release: Release) -> dict[str, Any]:
    return {
        "apiVersion": f"{release.crd.partition('.')[2]}/v1alpha1",
        "kind": "DatabaseMigration",
        "metadata": {"name": "kept"},
        "spec": {
            "environment": "test",
            "database": {"secretRef": {"name": "db"}},
            "source": {"configMaps": [{"name": "sql"}]},
        },
    }
