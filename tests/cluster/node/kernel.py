"""Control groups, mounts and kernel settings: what outlives the processes that made it."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from .settings import Layout, NodeError

_CGROUPS = Path("/sys/fs/cgroup")
_SYSCTLS = (
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_tcp_timeout_established",
    "net/netfilter/nf_conntrack_tcp_timeout_close_wait",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
"""What the kubelet and kube-proxy change, and what we do for them."""


def save_settings(layout: Layout) -> None:
    """Note the kernel's settings, unless a node that crashed has already changed them."""
    if layout.kernel_settings.exists():
        return
    files = {name: Path("/proc/sys", name) for name in _SYSCTLS}
    values = {name: file.read_text().strip() for name, file in files.items() if file.exists()}
    layout.kernel_settings.write_text(json.dumps(values, indent=1))


def forward_packets() -> None:
    """Let the kernel forward packets: pods are other machines to it."""
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def restore_settings(layout: Layout) -> None:
    """Give the kernel back the settings that were noted."""
    if not layout.kernel_settings.exists():
        return
    for name, value in json.loads(layout.kernel_settings.read_text()).items():
        file = Path("/proc/sys", name)
        if file.exists() and file.read_text().strip() != value:
            with suppress(OSError):  # a container may be forbidden what its kubelet could not do
                file.write_text(value)
    layout.kernel_settings.unlink()


def create_cgroups(layout: Layout) -> None:
    """Create the pods' control group in each hierarchy: the kubelet wants to find it."""
    if (_CGROUPS / "cgroup.controllers").exists():
        available = (_CGROUPS / "cgroup.controllers").read_text().split()
        for controller in available:
            with suppress(OSError):
                (_CGROUPS / "cgroup.subtree_control").write_text(f"+{controller}")
    for group in _cgroups(layout):
        group.mkdir(exist_ok=True)
        # In version 1 a new cpuset is empty and accepts nobody: it takes what its parent has.
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (group / name).exists() and (group.parent / name).exists():
                (group / name).write_text((group.parent / name).read_text())


def end_pods(layout: Layout) -> None:
    """Kill every process in the pods' control group, then remove it."""
    deadline = time.monotonic() + 20
    while groups := [group for group in _cgroups(layout) if group.exists()]:
        for pid in {pid for group in groups for pid in members(group)}:
            _kill_member(layout, pid)
        for group in groups:
            for folder, _, _ in os.walk(group, topdown=False):
                with suppress(OSError):  # a process in it has not gone yet: the next round
                    Path(folder).rmdir()
        if time.monotonic() > deadline:
            raise NodeError(f"The pods' control group {groups[0]} cannot be removed.")


def mounts(layout: Layout) -> list[str]:
    """Return the mounts below the node's folders, the latest first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4].replace(r"\040", " ") for line in lines]
    ours = tuple(f"{folder}/" for folder in (layout.run, layout.sockets))
    return [point for point in reversed(points) if point.startswith(ours)]


def remove_files(layout: Layout) -> None:
    """Unmount what is mounted below the node's folders, then delete them."""
    if mounted := mounts(layout):
        subprocess.run(["umount", "--lazy", *mounted], check=False, capture_output=True)
    if left := mounts(layout):
        # Deleting through a mount would delete what is mounted, which may be anybody's.
        raise NodeError(f"{left[0]} cannot be unmounted; nothing below it was deleted.")
    for folder in (layout.run, layout.sockets):
        if folder.exists():
            shutil.rmtree(folder)
    for link in Path("/var/log/containers").glob("*.log"):
        if str(link.readlink()).startswith(f"{layout.run}/"):
            link.unlink()


def leftovers(layout: Layout) -> list[str]:
    """Return the control groups of pods that exist."""
    return [str(group) for group in _cgroups(layout) if group.exists()]


def _cgroups(layout: Layout) -> list[Path]:
    """Return where the pods' group is, or would be, in each hierarchy of control groups."""
    roots = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        point, kind = Path(before.split()[4]), after.split()[0]
        if kind == "cgroup" or (kind == "cgroup2" and point == _CGROUPS):
            roots.append(point)
    return [root / layout.cgroup for root in roots]


def members(group: Path) -> set[int]:
    """Return the processes in a control group and those below it."""
    found: set[int] = set()
    for folder, _, _ in os.walk(group):
        with suppress(OSError):
            found.update(int(pid) for pid in Path(folder, "cgroup.procs").read_text().split())
    return found


def _kill_member(layout: Layout, pid: int) -> None:
    """Kill a process if it is a pod's, and wait for its end for at most a second."""
    with suppress(OSError):
        handle = os.pidfd_open(pid)
        try:
            if f"/{layout.cgroup}/" in Path(f"/proc/{pid}/cgroup").read_text():
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                select.select([handle], [], [], 1)
        finally:
            os.close(handle)
