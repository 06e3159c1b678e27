"""Kubernetes, etcd, containerd, CoreDNS and helm, built once from pinned Go modules.

Each folder of `gomodules/` is a Go module whose `tool` lines name the programs to build: four
modules, because their requirements contradict each other. The result is kept under a hash of
their go.mod and go.sum files, so that a changed version is a new set and an old one is never mixed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .prerequisites import require_go
from .report import say, step
from .settings import Layout, NodeError

_MODULES = Path(__file__).parent / "gomodules"
_CLIENTS = ("kubectl", "helm")
_NODE_PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "coredns",
)


@dataclass(frozen=True)
class Binaries:
    """A complete set of programs.

    The node's own lie apart from the clients: a process whose program is in `node` belongs to the
    node and dies with it, one in `client` belongs to whoever started it.
    """

    folder: Path

    @property
    def node(self) -> Path:
        """The folder of the programs that make the node."""
        return self.folder / "node"

    @property
    def client(self) -> Path:
        """The folder of kubectl and helm."""
        return self.folder / "client"

    @property
    def kubectl(self) -> Path:
        """The kubectl of the node's own version."""
        return self.client / "kubectl"

    @property
    def helm(self) -> Path:
        """Helm 4."""
        return self.client / "helm"

    def complete(self) -> bool:
        """Tell whether every program is there."""
        wanted = [self.node / name for name in _NODE_PROGRAMS]
        wanted += [self.client / name for name in _CLIENTS]
        return all(program.exists() for program in wanted)


def kubernetes_version() -> str:
    """Return the version that is built, as in `v1.36.3`: go.mod is where it is decided."""
    text = (_MODULES / "kubernetes" / "go.mod").read_text()
    found = re.search(r"^\s*k8s\.io/kubernetes (v\S+)", text, re.MULTILINE)
    if found is None:
        raise NodeError("gomodules/kubernetes/go.mod does not require k8s.io/kubernetes.")
    return found[1]


def locate(layout: Layout) -> Binaries:
    """Return where the programs of these go.mod files are, whether they are built or not."""
    digest = hashlib.sha256()
    for file in sorted(_MODULES.glob("*/go.*")):
        digest.update(f"{file.parent.name}/{file.name}\n".encode())
        digest.update(file.read_bytes())
    return Binaries(layout.binaries / digest.hexdigest()[:16])


def build(layout: Layout) -> Binaries:
    """Return the programs, building them if they are not there yet (some ten minutes, once)."""
    binaries = locate(layout)
    if binaries.complete():
        return binaries
    go = require_go()
    say("Building Kubernetes, containerd, CoreDNS and helm from Go modules: ten minutes, once.")
    layout.binaries.mkdir(parents=True, exist_ok=True)
    # Built aside and renamed: a build that was cut off leaves no half set behind.
    with tempfile.TemporaryDirectory(dir=layout.binaries, prefix=".building-") as scratch:
        built = Binaries(Path(scratch))
        built.node.mkdir()
        built.client.mkdir()
        for module in sorted(_MODULES.iterdir()):
            with step(f"Built {module.name}"):
                _install(go, module, built.node)
        (built.node / "server").rename(built.node / "etcd")
        for name in _CLIENTS:
            (built.node / name).rename(built.client / name)
        if not built.complete():
            raise NodeError("go install ended well, and yet a program is missing.")
        shutil.rmtree(binaries.folder, ignore_errors=True)
        Path(scratch).chmod(0o755)
        Path(scratch).rename(binaries.folder)
        Path(scratch).mkdir()  # for TemporaryDirectory to remove
    return binaries


def _install(go: str, module: Path, destination: Path) -> None:
    version = kubernetes_version()
    _, minor, _ = version.split(".")
    stamp = "k8s.io/component-base/version"
    flags = f"-X {stamp}.gitVersion={version} -X {stamp}.gitMajor=1 -X {stamp}.gitMinor={minor}"
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
    environment["GOBIN"] = str(destination)
    done = subprocess.run(
        [go, "install", "-trimpath", "-ldflags", f"-s -w {flags}", "tool"],
        cwd=module,
        env=environment,
        check=False,
        text=True,
        stderr=subprocess.PIPE,
    )
    if done.returncode != 0:
        last = done.stderr.strip().rpartition("\n")[2]
        raise NodeError(f"go install of {module.name} failed: {last}")
