"""A node's life: created, found, deleted.

Deleting and recovering from a crash are the same act, `_wipe`, which looks for what is there and
trusts no note of what was done. So a node that lost its power is cleared away like any other.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from . import binaries as programs
from . import certificates, components, images, kernel, network, prerequisites, processes
from .report import say, step
from .settings import NODE, NODE_IP, Layout, NodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .binaries import Binaries

_PARTS = {
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "containerd",
    "coredns",
}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def running(layout: Layout) -> str | None:
    """Return the cluster's name if a whole node is running, None if there is none or a ruin."""
    if not layout.name_file.exists():
        return None
    alive = {process.program for process in processes.find(layout)}
    return layout.name_file.read_text().strip() if alive >= _PARTS else None


def create(layout: Layout, name: str) -> None:
    """Bring up a node under this name and return when it is ready for pods.

    A whole node of that name is left as it is. What a crashed one left is cleared away first.

    Raises:
        NodeError: a prerequisite is missing, another cluster is running, or a part did not start.
    """
    prerequisites.require_machine()
    prerequisites.require_short_path(layout)
    prerequisites.require_packages()
    built = programs.build(layout)
    with _alone(layout):
        there = running(layout)
        if there == name:
            say(f'Cluster "{name}" is already running.')
            return
        if there is not None:
            raise NodeError(f'This machine already carries cluster "{there}": delete it first.')
        if foreign := processes.foreign_kubernetes(layout):
            raise NodeError(f"A {foreign} that is not ours runs here: one Kubernetes a machine.")
        _wipe(layout)
        try:
            _start(layout, built)
        except BaseException as error:
            _keep_logs(layout)
            _wipe(layout)
            if isinstance(error, NodeError):
                logs = layout.cache / "failed-logs"
                raise NodeError(f"{error}\nThe logs are in {logs}.") from error
            raise
        layout.name_file.write_text(name)


def delete(layout: Layout) -> None:
    """Remove the node, whole or broken, and everything that it made outside its cache."""
    prerequisites.require_machine()
    with _alone(layout):
        _wipe(layout)


def traces(layout: Layout) -> list[str]:
    """Return what is left of a node on this machine, in words: nothing, after `delete`."""
    found = [f"process {process.pid} {process.program}" for process in processes.find(layout)]
    found += [f"mount {point}" for point in kernel.mounts(layout)]
    found += [f"control group {group}" for group in kernel.leftovers(layout)]
    found += [f"route {route}" for route in network.pod_routes()]
    found += [f"firewall {rule}" for rule in network.our_rules()]
    found += [f"interface {name}" for name in network.our_interfaces()]
    found += [f"folder {folder}" for folder in (layout.run, layout.sockets) if folder.exists()]
    return found


def kubectl(layout: Layout, *arguments: str, stdin: str | None = None) -> str:
    """Run kubectl as the cluster's administrator; raise NodeError with its words if it fails."""
    command = [str(programs.locate(layout).kubectl), f"--kubeconfig={layout.admin_kubeconfig}"]
    command.append(f"--cache-dir={layout.run / 'kubectl-cache'}")
    done = subprocess.run(
        [*command, *arguments], input=stdin, check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise NodeError(f"kubectl {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


def _start(layout: Layout, built: Binaries) -> None:
    for folder in (layout.run, layout.logs, layout.sockets):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    path = f"{built.node}:{_PATH}"  # containerd looks for its shim there
    kernel.save_settings(layout)
    network.set_up(layout)
    network.require_free_ports()
    kernel.forward_packets()
    kernel.create_cgroups(layout)
    _write_configuration(layout)

    def start(name: str, command: list[str]) -> processes.Started:
        return processes.start(layout, name, command, path)

    with step("Control plane"):
        etcd = start("etcd", components.etcd(layout, built))
        api_server = start("kube-apiserver", components.api_server(layout, built))
        runtime = start("containerd", components.containerd(layout, built))
        processes.wait_until(
            layout.containerd_socket.exists, "containerd's socket", seconds=30, alive=[runtime]
        )
        images.load_pause(layout, built)
        processes.wait_until(
            lambda: _answers(layout, "/readyz"),
            "the API server",
            seconds=90,
            alive=[etcd, api_server],
        )
    with step("Node"):
        others = [
            start("kube-controller-manager", components.controller_manager(layout, built)),
            start("kube-scheduler", components.scheduler(layout, built)),
            start("kubelet", components.kubelet(layout, built)),
        ]
        kubectl(layout, "apply", "-f", "-", stdin=json.dumps(components.permissions()))
        others.append(start("kube-proxy", components.proxy(layout, built)))
        others.append(start("coredns", components.coredns(layout, built)))
        processes.wait_until(
            lambda: _ready(layout), "the node to be Ready", seconds=90, alive=others
        )


def _write_configuration(layout: Layout) -> None:
    certificates.issue(layout.pki)
    for certificate in ("admin", "controller-manager", "scheduler", "kubelet", "proxy", "dns"):
        credentials = layout.run / f"{certificate}.conf"
        credentials.touch(0o600)
        credentials.write_text(components.kubeconfig(layout, certificate))
    (layout.run / "resolv.conf").write_text(f"nameserver {NODE_IP}\n")
    (layout.run / "Corefile").write_text(components.corefile(layout))
    (layout.run / "containerd.toml").write_text(components.containerd_toml(layout))
    kubelet = components.kubelet_configuration(layout)
    (layout.run / "kubelet.json").write_text(json.dumps(kubelet))
    (layout.run / "audit-policy.json").write_text(json.dumps(components.audit_policy()))


def _answers(layout: Layout, path: str) -> bool:
    try:
        kubectl(layout, "get", "--raw", path)
    except NodeError:
        return False
    return True


def _ready(layout: Layout) -> bool:
    """Tell whether a pod could be created and would run, and kube-proxy and DNS serve it."""
    ready = '{.status.conditions[?(@.type=="Ready")].status}'
    try:
        node = kubectl(layout, "get", "node", NODE, "-o", f"jsonpath={ready}")
        kubectl(layout, "get", "serviceaccount", "default")
    except NodeError:
        return False
    return node == "True" and network.services_are_served() and network.names_are_served()


def _wipe(layout: Layout) -> None:
    processes.end_all(layout)
    kernel.end_pods(layout)
    kernel.remove_files(layout)
    if processes.foreign_kubernetes(layout) is None:
        network.tear_down(layout)
        processes.wait_until(
            lambda: not network.pod_routes(), "the kernel to drop the pods' routes", seconds=20
        )
    kernel.restore_settings(layout)


def _keep_logs(layout: Layout) -> None:
    kept = layout.cache / "failed-logs"
    subprocess.run(["rm", "-rf", str(kept)], check=True)
    if layout.logs.exists():
        subprocess.run(["cp", "-r", str(layout.logs), str(kept)], check=True)


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    """Hold the lock under which a node is created or deleted: it dies with its process."""
    layout.cache.mkdir(parents=True, exist_ok=True)
    with layout.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
