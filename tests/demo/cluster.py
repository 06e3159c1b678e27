"""The demo's cluster: the tests' own, brought up by the same programs."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pytest_kind import KindCluster

from tests.cluster import target
from tests.cluster.node.binaries import locate
from tests.cluster.node.settings import Layout, NodeError


@dataclass(frozen=True)
class DemoCluster:
    """A cluster for the demo, and the folder with the programs that a user would have."""

    kind: KindCluster

    @classmethod
    def find(cls) -> DemoCluster:
        """The cluster, whether it is up or not."""
        return cls(target.kind_cluster())

    @property
    def kubeconfig(self) -> Path:
        """Credentials of the cluster's administrator."""
        return Path(self.kind.kubeconfig_path).absolute()

    @property
    def folder(self) -> Path:
        """Where the demo keeps what it writes."""
        return self.kubeconfig.parent / "demo"

    @property
    def bin(self) -> Path:
        """A folder with `kubectl` and `helm`, to be put on PATH."""
        return self.kubeconfig.parent / "bin"

    def create(self) -> None:
        """Bring it up, unless it is."""
        found = target.programs()
        found.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        if target.is_running(found):
            target.renew_credentials(found)
        self.kind.create()
        self.kind.ensure_kubectl()
        self.bin.mkdir(exist_ok=True)
        for name, program in (("kubectl", Path(self.kind.kubectl_path)), ("helm", _helm())):
            link = self.bin / name
            link.unlink(missing_ok=True)
            link.symlink_to(program.absolute())

    def load(self, *images: str) -> None:
        """Bring images of this machine into the cluster."""
        for image in images:
            self.kind.load_docker_image(image)

    def delete(self) -> None:
        """Remove it and all that it made, the demo's folder too."""
        if target.is_running(target.programs()):
            self.kind.delete()
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.bin, ignore_errors=True)


def _helm() -> Path:
    built = locate(Layout.of_user()).client / "helm"
    if built.exists():
        return built
    found = shutil.which("helm", path=os.environ["PATH"])
    if found is None:
        raise NodeError("There is no helm on PATH: install Helm 4 to see the demo.")
    return Path(found)
