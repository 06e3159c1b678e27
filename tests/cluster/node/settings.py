"""Every name, address, port and path of the node: nothing else in this package invents one.

One node at a time can run on a machine, because its addresses are constants.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path


class NodeError(Exception):
    """Something that the user must know: its text is one clear sentence."""


NODE = "dbmigrate-node"
"""The Kubernetes node's name, and the mark in each firewall rule."""

INTERFACE = "dbmigrate0"
"""A bridge without ports: it only carries the node's address, which must not be loopback."""

NODE_IP = "10.213.0.1"
POD_CIDR = "10.214.0.0/16"
SERVICE_CIDR = "10.215.0.0/16"
KUBERNETES_SERVICE_IP = "10.215.0.1"

API_PORT = 6443
ETCD_PORT = 12379
ETCD_PEER_PORT = 12380
PORTS_ON_NODE_IP = (API_PORT, 10250, 53)
PORTS_ON_LOOPBACK = (ETCD_PORT, ETCD_PEER_PORT, 10257, 10259, 10248, 10249, 10256)
"""etcd; then the controller manager, the scheduler, the kubelet's and kube-proxy's own health."""

CLUSTER_DOMAIN = "cluster.local"
PAUSE_IMAGE = "localhost/dbmigrate-pause:1"
CNI_PLUGINS = Path("/usr/lib/cni")


@dataclass(frozen=True)
class Layout:
    """Where the node keeps its files: all below one cache folder."""

    cache: Path

    @property
    def identity(self) -> str:
        """A name that differs for each cache: what one node owns, no other one clears away."""
        return f"{NODE}-{hashlib.sha256(bytes(self.cache)).hexdigest()[:8]}"

    @property
    def sockets(self) -> Path:
        """Sockets and containerd's volatile state: a socket's path has at most 107 bytes."""
        return Path("/run") / self.identity

    @property
    def cgroup(self) -> str:
        """The control group of all pods: what lives in it, and only that, is killed."""
        return self.identity

    @classmethod
    def of_user(cls) -> Layout:
        """Return the layout in `$XDG_CACHE_HOME/dbmigrate/node`, or below `~/.cache`."""
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return cls(Path(base).absolute() / "dbmigrate" / "node")

    @property
    def binaries(self) -> Path:
        """Programs built from Go modules: a folder for each set of versions."""
        return self.cache / "binaries"

    @property
    def archives(self) -> Path:
        """Image archives that are worth keeping between nodes."""
        return self.cache / "archives"

    @property
    def lock(self) -> Path:
        """Locked while a node is created or deleted."""
        return self.cache / "lock"

    @property
    def run(self) -> Path:
        """The running node's state; deleted with it."""
        return self.cache / "run"

    @property
    def name_file(self) -> Path:
        """Holds the cluster's name; written last, when the node is ready."""
        return self.run / "name"

    @property
    def pki(self) -> Path:
        """Keys and certificates of the running node."""
        return self.run / "pki"

    @property
    def logs(self) -> Path:
        """One log for each of the node's processes."""
        return self.run / "logs"

    @property
    def audit_log(self) -> Path:
        """The API server's audit log: a JSON line for each write to the API."""
        return self.logs / "audit.log"

    @property
    def kernel_settings(self) -> Path:
        """What the sysctls were before the node changed them."""
        return self.cache / "kernel-settings.json"

    @property
    def admin_kubeconfig(self) -> Path:
        """The administrator's credentials, for this program's own use."""
        return self.run / "admin.conf"

    @property
    def containerd_socket(self) -> Path:
        """Where containerd listens."""
        return self.sockets / "containerd.sock"
