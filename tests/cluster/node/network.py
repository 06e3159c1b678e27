"""The node's address, the way to and from its pods, and the removal of every trace of it.

Each pod has a veth pair and a route of its own (the CNI plugin `ptp`, as in kind): no bridge
between pods, so Services work whether or not br_netfilter is loaded.
"""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from .settings import (
    INTERFACE,
    KUBERNETES_SERVICE_IP,
    NODE,
    NODE_IP,
    POD_CIDR,
    PORTS_ON_LOOPBACK,
    PORTS_ON_NODE_IP,
    SERVICE_CIDR,
    Layout,
    NodeError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_CNI_RESULTS = Path("/var/lib/cni/results")
_RULES = (
    ("filter", "FORWARD", "-s", POD_CIDR, "-j", "ACCEPT"),
    ("filter", "FORWARD", "-d", POD_CIDR, "-j", "ACCEPT"),
    ("nat", "POSTROUTING", "-s", POD_CIDR, "!", "-d", POD_CIDR, "-j", "MASQUERADE"),
)
"""Pods' traffic passes, also where a firewall forwards nothing; outside it bears the host's name.

The masquerading one comes after those of kube-proxy, which is wanted.
"""


def require_free_ports() -> None:
    """Raise NodeError naming a port that another process of this machine listens on."""
    wanted = [("127.0.0.1", port) for port in PORTS_ON_LOOPBACK]
    wanted += [(NODE_IP, port) for port in PORTS_ON_NODE_IP]
    for address, port in wanted:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                raise NodeError(
                    f"The node needs {address}:{port}, and that is taken ({error.strerror})."
                ) from error


def set_up(layout: Layout) -> None:
    """Create the node's interface, the firewall's rules and the configuration for pods."""
    _run("ip", "link", "add", INTERFACE, "type", "bridge")
    _run("ip", "address", "add", f"{NODE_IP}/32", "dev", INTERFACE)
    _run("ip", "link", "set", INTERFACE, "up")
    # Services' addresses are rewritten before a packet leaves, but a route must exist before that,
    # and a machine without a way out has none.
    _run("ip", "route", "add", SERVICE_CIDR, "dev", INTERFACE)
    for table, chain, *rule in _RULES:
        mark = ["-m", "comment", "--comment", NODE]
        _run("iptables", "--wait", "-t", table, "-A", chain, *rule[:-2], *mark, *rule[-2:])
    ranges = [[{"subnet": POD_CIDR}]]
    (layout.run / "cni").mkdir()
    (layout.run / "cni" / "10-ptp.conflist").write_text(
        json.dumps(
            {
                "cniVersion": "1.0.0",
                "name": layout.identity,
                "plugins": [
                    {
                        "type": "ptp",
                        "ipMasq": False,
                        "ipam": {
                            "type": "host-local",
                            "dataDir": str(layout.run / "cni-addresses"),
                            "ranges": ranges,
                            "routes": [{"dst": "0.0.0.0/0"}],
                        },
                    }
                ],
            }
        )
    )


def tear_down(layout: Layout) -> None:
    """Remove the interface, every rule of the node and of kube-proxy, and CNI's notes."""
    if our_interfaces():
        _run("ip", "link", "delete", INTERFACE)
    _drop_pod_links()
    for family in ("iptables", "ip6tables"):
        _remove_rules(family)
    for note in _CNI_RESULTS.glob(f"{layout.identity}-*"):
        note.unlink(missing_ok=True)
    for folder in (_CNI_RESULTS, _CNI_RESULTS.parent):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def pod_routes() -> list[str]:
    """Return the routes to pods: the kernel removes each a moment after its pod has gone."""
    return _run("ip", "-4", "route", "show", "root", POD_CIDR).splitlines()


def _drop_pod_links() -> None:
    """Remove the host's ends of the pods' veth pairs.

    The kernel does so by itself when a pod's network namespace ends; but a namespace may be held
    long after its last process, and then its link and route would stay.
    """
    for route in pod_routes():
        words = route.split()
        device = words[words.index("dev") + 1] if "dev" in words else ""
        if device.startswith("veth"):
            # It may go by itself at this very moment.
            subprocess.run(["ip", "link", "delete", device], check=False, capture_output=True)


def our_interfaces() -> list[str]:
    """Return the node's interface if it exists."""
    # Not from /sys, which shows the network namespace in which it was mounted.
    return [name for _, name in socket.if_nameindex() if name == INTERFACE]


def services_are_served() -> bool:
    """Tell whether kube-proxy has made the way to the API server's own Service."""
    return _connects(KUBERNETES_SERVICE_IP, 443)


def names_are_served() -> bool:
    """Tell whether CoreDNS listens."""
    return _connects(NODE_IP, 53)


def our_rules() -> list[str]:
    """Return every firewall rule and chain that a node leaves."""
    lines = _run("iptables-save").splitlines() + _run("ip6tables-save").splitlines()
    return [line for line in lines if "KUBE-" in line or NODE in line]


def _remove_rules(family: str) -> None:
    """Remove kube-proxy's and the kubelet's chains, and whatever refers to them or is marked."""
    removal = list(_removal(_run(f"{family}-save").splitlines()))
    if removal:
        text = "\n".join([*removal, ""])
        _run(f"{family}-restore", "--wait", "--noflush", stdin=text)


def _removal(saved: list[str]) -> Iterator[str]:
    """Turn what iptables-save prints into what removes our part of it from iptables-restore."""
    chains: list[str] = []
    rules: list[str] = []
    for line in saved:
        if line.startswith("*"):
            table, chains, rules = line, [], []
        elif line.startswith(":KUBE-"):
            chains.append(line.split()[0].removeprefix(":"))
        elif line.startswith("-A ") and not line.startswith("-A KUBE-"):
            if " KUBE-" in line or NODE in line:
                rules.append(line.replace("-A ", "-D ", 1))
        elif line == "COMMIT" and (chains or rules):
            yield table
            yield from (f":{chain} - [0:0]" for chain in chains)  # which empties the chain
            yield from rules
            yield from (f"-X {chain}" for chain in chains)
            yield line


def _connects(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def _run(*command: str, stdin: str | None = None) -> str:
    done = subprocess.run(command, input=stdin, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise NodeError(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return done.stdout
