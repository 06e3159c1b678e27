"""Images into the node, without a registry: from buildah's store into containerd's.

What the node holds is asked of containerd itself: each image carries the builder's image ID as a
label, so that loading one that is there already costs a question.
"""

from __future__ import annotations

import os
import subprocess

from .binaries import Binaries
from .prerequisites import which
from .settings import PAUSE_IMAGE, Layout, NodeError

_LABEL = "dbmigrate.dev/image-id"


def buildah(*arguments: str) -> str:
    """Run buildah and return what it prints; raise NodeError with its words if it fails."""
    done = subprocess.run(
        [*_buildah_command(), *arguments],
        env=_buildah_environment(),
        check=False,
        capture_output=True,
        text=True,
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
    # From the one's output into the other's input: the archive is never on the disk.
    push = [*_buildah_command(), "push", "--quiet", image, f"docker-archive:/dev/stdout:{name}"]
    take = _ctr_command(layout, binaries, "images", "import", "-")
    with subprocess.Popen(
        push, env=_buildah_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as pushing:
        taken = subprocess.run(
            take, stdin=pushing.stdout, check=False, capture_output=True, text=True
        )
    if pushing.returncode != 0 or taken.returncode != 0:
        raise NodeError(f"The node did not take {image}: {taken.stderr.strip()}")
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


def _buildah_command() -> list[str]:
    program = which("buildah")
    if program is None:
        raise NodeError("No `buildah` here: it is in the Debian package of that name.")
    return [program]


def _buildah_environment() -> dict[str, str]:
    # Without an engine's help: overlay mounts as root, and no namespaces for build steps.
    return {**os.environ, "STORAGE_DRIVER": "overlay", "BUILDAH_ISOLATION": "chroot"}


def _full_name(image: str) -> str:
    """Return a reference as containerd stores it: with its registry and its tag."""
    registry, slash, _ = image.partition("/")
    if not slash:
        image = f"docker.io/library/{image}"
    elif registry != "localhost" and not set(".:") & set(registry):
        image = f"docker.io/{image}"
    return image if ":" in image.rpartition("/")[2] else f"{image}:latest"


def _ctr(layout: Layout, binaries: Binaries, *arguments: str) -> str:
    command = _ctr_command(layout, binaries, *arguments)
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise NodeError(f"ctr {' '.join(arguments[:2])} failed: {done.stderr.strip()}")
    return done.stdout


def _ctr_command(layout: Layout, binaries: Binaries, *arguments: str) -> list[str]:
    command = [str(binaries.node / "ctr"), "--address", str(layout.containerd_socket)]
    return [*command, "--namespace", "k8s.io", *arguments]
