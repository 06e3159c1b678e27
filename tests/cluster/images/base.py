"""A Debian with Python, made by debootstrap: what stands in for python:slim without a registry."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING

from tests.cluster.node.images import buildah
from tests.cluster.node.prerequisites import which
from tests.cluster.node.report import step
from tests.cluster.node.settings import Layout, NodeError

from .engine import Buildah

if TYPE_CHECKING:
    from pathlib import Path

BASE_IMAGE = "localhost/dbmigrate-debian:bookworm"
_PACKAGES = "python3,python3-venv,ca-certificates"
_LABEL = "dbmigrate.dev/packages"


def ensure_base() -> str:
    """Return the base image's name, making the image first if it is not there (45 s, once)."""
    if Buildah().label(BASE_IMAGE, _LABEL) != _PACKAGES:
        with step(f"Base image {BASE_IMAGE}"):
            _make()
    return BASE_IMAGE


def _make() -> None:
    debootstrap = which("debootstrap")
    if debootstrap is None:
        raise NodeError("No `debootstrap` here: it is in the Debian package of that name.")
    cache = Layout.of_user().cache
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="debian-") as folder:
        done = subprocess.run(
            [debootstrap, "--variant=minbase", f"--include={_PACKAGES}", "bookworm", folder],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            last = done.stdout.strip().rpartition("\n")[2]
            raise NodeError(f"debootstrap failed: {last}")
        _commit(folder)


def _commit(folder: str | Path) -> None:
    for useless in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(f"{folder}/{useless}", ignore_errors=True)
    container = buildah("from", "scratch")
    try:
        buildah("add", "--quiet", container, str(folder), "/")
        buildah("config", "--label", f"{_LABEL}={_PACKAGES}", "--cmd", "/bin/sh", container)
        buildah("commit", "--quiet", container, BASE_IMAGE)
    finally:
        buildah("rm", container)
