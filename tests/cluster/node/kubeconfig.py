"""A user's kubeconfig file: the cluster's entry is put in and taken out, the rest is left alone.

As with kind, the context is named `kind-NAME` and becomes the current one of that file.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .binaries import locate
from .components import API_SERVER
from .settings import Layout, NodeError


def export(layout: Layout, name: str, file: Path | None) -> None:
    """Write the administrator's credentials to `file`, or to where kubectl looks by default."""
    entry = f"kind-{name}"
    for command in (
        [
            "set-cluster",
            entry,
            f"--server={API_SERVER}",
            f"--certificate-authority={layout.pki / 'ca.crt'}",
            "--embed-certs=true",
        ],
        [
            "set-credentials",
            entry,
            f"--client-certificate={layout.pki / 'admin.crt'}",
            f"--client-key={layout.pki / 'admin.key'}",
            "--embed-certs=true",
        ],
        ["set-context", entry, f"--cluster={entry}", f"--user={entry}"],
        ["use-context", entry],
    ):
        _config(layout, file, command)


def forget(layout: Layout, name: str, file: Path | None) -> None:
    """Take the cluster's entries out of the file, if it is there and has them."""
    target = _target(file)
    if not target.exists() or f"kind-{name}" not in target.read_text():
        return
    entry = f"kind-{name}"
    for kind in ("clusters", "users", "contexts"):
        _config(layout, file, ["unset", f"{kind}.{entry}"])
    if _config(layout, file, ["view", "-o", "jsonpath={.current-context}"]) == entry:
        _config(layout, file, ["unset", "current-context"])


def _target(file: Path | None) -> Path:
    if file is not None:
        return file
    first = os.environ.get("KUBECONFIG", "").partition(":")[0]
    return Path(first) if first else Path.home() / ".kube" / "config"


def _config(layout: Layout, file: Path | None, command: list[str]) -> str:
    target = _target(file).absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [str(locate(layout).kubectl), "config", f"--kubeconfig={target}", *command],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise NodeError(f"{target} could not be written: {done.stderr.strip()}")
    target.chmod(0o600)
    return done.stdout
