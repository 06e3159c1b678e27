"""Images into the node, without a registry: from buildah's store into containerd's.

What the node holds is asked of containerd itself: each image carries the builder's image ID as a
label, so that loading one that is there already costs nothing.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from .binaries import Binaries
from .prerequisites import which
from .settings import PAUSE_IMAGE, Layout, NodeError

_LABEL = "dbmigrate.dev/image-id"


def buildah(*arguments: str, cwd: Path | None = None) -> str:
    """Run buildah and return what it prints; raise NodeError with its words if it fails."""
    program = which("buildah")
    if program is None:
        raise NodeError("No `buildah` here: it is in the Debian package of that name.")
    environment = {**os.environ, "STORAGE_DRIVER": "overlay", "BUILDAH_ISOLATION": "chroot"}
    done = subprocess.run(
        [program, *arguments], cwd=cwd, env=environment, check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise NodeError(f"buildah {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def load(layout: Layout, binaries: Binaries, image: str) -> bool:
    """Copy an image of buildah's into the node; return False if it was there already."""
    try:
        wanted = buildah("inspect", "--type", "image", "--format", "{{.FromImageID}}", image)
    except NodeError as error:
        raise NodeError(f"There is no image {image} in buildah's store: build it first.") from error
    name = _full_name(image)
    if name in _ctr(layout, binaries, "images", "ls", "-q", f'labels."{_LABEL}"=={wanted}').split():
        return False
    with tempfile.TemporaryDirectory(dir=layout.run) as folder:
        archive = f"{folder}/image.tar"
        buildah("push", "--quiet", image, f"docker-archive:{archive}:{name}")
        _ctr(layout, binaries, "images", "import", archive)
    _ctr(layout, binaries, "images", "label", name, f"{_LABEL}={wanted}")
    return True


def load_pause(layout: Layout, binaries: Binaries) -> None:
    """Give the node the image that holds each pod's namespaces open: busybox's `sleep`."""
    archive = layout.archives / "pause.tar"
    if not archive.exists():
        layout.archives.mkdir(parents=True, exist_ok=True)
        container = buildah("from", "scratch")
        buildah("copy", "--quiet", container, "/bin/busybox", "/bin/sleep")
        buildah("config", "--entrypoint", '["/bin/sleep", "infinity"]', container)
        buildah("commit", "--quiet", "--rm", container, PAUSE_IMAGE)
        unfinished = archive.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        buildah("push", "--quiet", PAUSE_IMAGE, f"docker-archive:{unfinished}:{PAUSE_IMAGE}")
        unfinished.rename(archive)
    _ctr(layout, binaries, "images", "import", str(archive))


def _full_name(image: str) -> str:
    """Return a reference as containerd stores it: with its registry and its tag."""
    registry, slash, _ = image.partition("/")
    if not slash:
        image = f"docker.io/library/{image}"
    elif registry != "localhost" and not set(".:") & set(registry):
        image = f"docker.io/{image}"
    return image if ":" in image.rpartition("/")[2] else f"{image}:latest"


def _ctr(layout: Layout, binaries: Binaries, *arguments: str) -> str:
    command = [str(binaries.node / "ctr"), "--address", str(layout.containerd_socket)]
    done = subprocess.run(
        [*command, "--namespace", "k8s.io", *arguments],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise NodeError(f"ctr {' '.join(arguments[:2])} failed: {done.stderr.strip()}")
    return done.stdout
