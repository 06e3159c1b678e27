"""Which cluster the tests run on, and how it comes to be: kind, our own node, or a named one.

- `DBMIGRATE_TEST_KUBECONFIG` names an existing cluster: it is used, and neither made nor deleted.
- Otherwise pytest-kind makes one: with the real kind where a Docker engine answers, with the
  program in `node/`, which speaks kind's verbs, where none does.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_kind import KindCluster

from tests.cluster.forwarding import forwarded
from tests.cluster.images.engine import docker_answers
from tests.cluster.kubectl import Kubectl
from tests.cluster.node.binaries import kubernetes_version, locate
from tests.cluster.node.settings import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "dbmigrate"
KUBECONFIG_VARIABLE = "DBMIGRATE_TEST_KUBECONFIG"

_ROOT = Path(__file__).resolve().parents[2]
_FOLDER = _ROOT / ".pytest-kind" / NAME
_KIND_VERSION = "v0.33.0"
_NODE = Path(__file__).parent / "node" / "kind"


@dataclass(frozen=True)
class Programs:
    """What pytest-kind is told: its `--kind-bin`, `--kind-kubectl-bin` and `--kubeconfig`."""

    kind: Path
    kubectl: Path
    kubeconfig: Path
    own_node: bool


def programs() -> Programs:
    """Return the programs for this machine; pytest-kind downloads the real ones if absent."""
    kubeconfig = _FOLDER / "kubeconfig"
    if not docker_answers():
        kubectl = locate(Layout.of_user()).kubectl
        return Programs(_NODE, kubectl, kubeconfig, own_node=True)
    version = kubernetes_version()
    system = os.uname()
    platform = (system.sysname.lower(), {"x86_64": "amd64", "aarch64": "arm64"}[system.machine])
    os.environ.setdefault(
        "KIND_DOWNLOAD_URL",
        "https://github.com/kubernetes-sigs/kind/releases/download/"
        f"{_KIND_VERSION}/kind-{'-'.join(platform)}",
    )
    os.environ.setdefault(
        "KUBECTL_DOWNLOAD_URL",
        f"https://dl.k8s.io/release/{version}/bin/{'/'.join(platform)}/kubectl",
    )
    kind, kubectl = _FOLDER / f"kind-{_KIND_VERSION}", _FOLDER / f"kubectl-{version}"
    return Programs(kind, kubectl, kubeconfig, own_node=False)


def is_running(found: Programs) -> bool:
    """Tell whether the tests' cluster is up."""
    if not found.kind.exists():
        return False
    listed = subprocess.run(
        [str(found.kind), "get", "clusters"], check=True, capture_output=True, text=True
    )
    return NAME in listed.stdout.split()


def renew_credentials(found: Programs) -> None:
    """Write the running cluster's kubeconfig: the one on disk may be of an earlier cluster."""
    found.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    command = ["export", "kubeconfig", f"--name={NAME}", f"--kubeconfig={found.kubeconfig}"]
    subprocess.run([str(found.kind), *command], check=True, capture_output=True)


def kind_cluster() -> KindCluster:
    """Return pytest-kind's own object for the tests' cluster, for use outside of pytest."""
    found = programs()
    return KindCluster(NAME, found.kubeconfig, kind_path=found.kind, kubectl_path=found.kubectl)


@dataclass(frozen=True)
class Cluster:
    """A running cluster, however it came to be."""

    kubectl: Kubectl
    kind: KindCluster | None
    """None for a cluster that was named: nothing can be loaded into it."""

    own_node: bool
    """True where this machine is the node: Services are reached by their own address."""

    @property
    def audit_log(self) -> Path | None:
        """The API server's log of writes, a JSON line each; None where it cannot be read."""
        return Layout.of_user().audit_log if self.own_node else None

    def load(self, image: str) -> None:
        """Bring an image of this machine into the cluster; a named one must be able to pull it."""
        if self.kind is not None:
            self.kind.load_docker_image(image)

    @contextmanager
    def reach(self, namespace: str, service: str, port: int) -> Iterator[tuple[str, int]]:
        """Give a host and a port by which this process reaches a Service while the block runs."""
        kubectl = self.kubectl.within(namespace)
        if self.own_node:
            yield kubectl.json("get", "service", service)["spec"]["clusterIP"], port
            return
        with forwarded(kubectl, service, port) as local:
            yield "127.0.0.1", local
