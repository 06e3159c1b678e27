"""The cluster's fixtures. pytest-kind's own `kind_cluster` is used as it is.

Tests ask for `cluster`, `kubectl`, `namespace`, `image`, `database`, `postgres`: each says below
what it gives. Nothing here ever uses the caller's current context.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster import operator as operator_module
from tests.cluster import target
from tests.cluster.images import build
from tests.cluster.kubectl import Kubectl, KubectlError
from tests.cluster.migration import Migration
from tests.cluster.operator import Operator
from tests.cluster.postgres import Database, Server, Servers

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARED_NAMESPACE = "dbmigrate-test-postgres"
_RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
_TEST_LABEL = "dbmigrate.dev/test"


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest-kind which programs make the cluster on this machine."""
    found = target.programs()
    option = config.option
    option.cluster_name = target.NAME
    option.kind_bin = option.kind_bin or str(found.kind)
    option.kind_kubectl_bin = option.kind_kubectl_bin or str(found.kubectl)
    option.kubeconfig = option.kubeconfig or str(found.kubeconfig)


@pytest.fixture(scope="session", autouse=True)
def _settled_cluster(request: pytest.FixtureRequest) -> None:
    """A cluster that is up already stays up after the tests; so does one that workers share."""
    found = target.programs()
    found.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    shared = "PYTEST_XDIST_WORKER" in os.environ
    if named_cluster() is None and (target.is_running(found) or shared):
        request.config.option.keep_cluster = True
        if target.is_running(found):
            target.renew_credentials(found)


def named_cluster() -> Path | None:
    """Return the kubeconfig of an existing cluster that was named on purpose."""
    named = os.environ.get(target.KUBECONFIG_VARIABLE)
    return Path(named) if named else None


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> target.Cluster:
    """The cluster: brought up if it is not, with `kubectl`, `load(image)` and `reach(service)`."""
    option = request.config.option
    if (named := named_cluster()) is not None:
        kubectl = Kubectl(Path(option.kind_kubectl_bin), named)
        return target.Cluster(kubectl, None, own_node=False)
    kind = request.getfixturevalue("kind_cluster")
    kind.ensure_kubectl()
    kubectl = Kubectl(Path(kind.kubectl_path), Path(kind.kubeconfig_path))
    return target.Cluster(kubectl, kind, own_node=target.programs().own_node)


@pytest.fixture(scope="session")
def image(cluster: target.Cluster) -> str:
    """The project's image, built from the working tree as it is and loaded into the cluster."""
    name = os.environ.get("DBMIGRATE_TEST_IMAGE") or build.project_image()
    cluster.load(name)
    return name


@pytest.fixture(scope="session")
def postgres_image(cluster: target.Cluster) -> str:
    """A PostgreSQL server's image, loaded into the cluster; a named cluster must pull it."""
    if (name := os.environ.get("DBMIGRATE_TEST_POSTGRES_IMAGE")) is not None:
        return name
    if cluster.kind is None:
        return build.OFFICIAL_POSTGRES_IMAGE
    name = build.postgres_image()
    if cluster.own_node:
        cluster.load(name)
    return name


@pytest.fixture
def namespace(cluster: target.Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh namespace under restricted Pod Security, gone after the test."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    name = f"t-{words[:40].strip('-')}-{secrets.token_hex(3)}"
    create_namespace(cluster.kubectl, name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def kubectl(cluster: target.Cluster, namespace: str) -> Kubectl:
    """`kubectl(*arguments)` in the test's namespace; also `.json`, `.apply`, `.wait`."""
    return cluster.kubectl.within(namespace)


@pytest.fixture(scope="session")
def shared_postgres(cluster: target.Cluster, postgres_image: str) -> Iterator[Server]:
    """One server for all tests that do not harm it; it stays as long as the cluster does."""
    create_namespace(cluster.kubectl, SHARED_NAMESPACE)
    with Servers(cluster, SHARED_NAMESPACE, postgres_image) as servers:
        yield servers.start(settings=("max_connections=300",))


@pytest.fixture
def database(shared_postgres: Server, kubectl: Kubectl) -> Iterator[Database]:
    """A new database of its own owner, with Secret `database` in the test's namespace."""
    made = shared_postgres.create_database()
    kubectl.apply(made.secret("database"))
    yield made
    shared_postgres.drop_database(made)


@pytest.fixture
def postgres(cluster: target.Cluster, namespace: str, postgres_image: str) -> Iterator[Servers]:
    """Starts servers of the test's own, which it may kill: `postgres.start(name, …)`."""
    with Servers(cluster, namespace, postgres_image) as servers:
        yield servers


def create_namespace(kubectl: Kubectl, name: str) -> None:
    """Create a namespace under restricted Pod Security, or leave it as it is."""
    metadata = {"name": name, "labels": {_TEST_LABEL: "true", **_RESTRICTED}}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    kubectl.within(name)("wait", "--for=create", "serviceaccount/default", "--timeout=30s")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Hold only the tests themselves to a time limit: the first may have to build the cluster."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(300, func_only=True))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Add to a failed test's report what its namespace looked like at that moment."""
    report = yield
    kubectl = getattr(item, "funcargs", {}).get("kubectl")
    if report.when == "call" and report.failed and isinstance(kubectl, Kubectl):
        for arguments in (
            [
                "get",
                "jobs,pods,databasemigrations,configmaps",
                "--output=wide",
                "--ignore-not-found",
            ],
            ["get", "events", "--sort-by=.lastTimestamp"],
            ["logs", "--selector=dbmigrate.dev/action", "--prefix", "--tail=20"],
        ):
            try:
                text = kubectl(*arguments)
            except KubectlError as error:
                text = str(error)
            report.sections.append((f"kubectl {' '.join(arguments)}", text))
    return report


@pytest.fixture(scope="session")
def operator(cluster: target.Cluster, image: str) -> Operator:
    """The operator, installed by the chart for the whole session, from the image of this tree."""
    installed = Operator(cluster.kubectl.within(operator_module.NAMESPACE), image)
    installed.install()
    installed.restart()
    return installed


@pytest.fixture
def migration(kubectl: Kubectl, database: Database, operator: Operator) -> Migration:  # noqa: ARG001
    """A DatabaseMigration `exams` for a new database; not applied yet."""
    return Migration(kubectl)
