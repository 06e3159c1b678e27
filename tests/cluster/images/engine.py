"""What builds images here: Docker if its engine answers, buildah otherwise."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.cluster.node import images as node_images
from tests.cluster.node.settings import NodeError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Recipe:
    """All that decides what an image will be."""

    tag: str
    dockerfile: Path
    context: Path
    arguments: Mapping[str, str]
    labels: Mapping[str, str]


def docker_answers() -> bool:
    """Tell whether there is a Docker engine, not only its client."""
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(["docker", "info"], check=False, capture_output=True)
    return asked.returncode == 0


@dataclass(frozen=True)
class Docker:
    """A Docker engine: its builder fetches base images by itself."""

    def label(self, image: str, name: str) -> str | None:
        """Return a label of an image, None if the image or the label is not there."""
        template = f'{{{{index .Config.Labels "{name}"}}}}'
        asked = subprocess.run(
            ["docker", "image", "inspect", "--format", template, image],
            check=False,
            capture_output=True,
            text=True,
        )
        return asked.stdout.strip() or None if asked.returncode == 0 else None

    def build(self, recipe: Recipe) -> None:
        """Build an image; raise NodeError if that fails."""
        command = ["docker", "build", "--quiet", "--tag", recipe.tag]
        command += [f"--file={recipe.dockerfile}", *_options(recipe), str(recipe.context)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise NodeError(f"docker build of {recipe.tag} failed:\n{done.stderr.strip()}")


@dataclass(frozen=True)
class Buildah:
    """buildah, as root, without an engine and without a registry."""

    def label(self, image: str, name: str) -> str | None:
        """Return a label of an image, None if the image or the label is not there."""
        template = f'{{{{index .OCIv1.Config.Labels "{name}"}}}}'
        try:
            return (
                node_images.buildah("inspect", "--type=image", "--format", template, image) or None
            )
        except NodeError:
            return None

    def build(self, recipe: Recipe) -> None:
        """Build an image, layer by layer from what is cached; raise NodeError if that fails."""
        command = ["build", "--layers", "--pull-never", "--tag", recipe.tag]
        if certificates := os.environ.get("SSL_CERT_FILE"):
            # Behind a proxy that signs for the world, the build must trust what this machine does.
            command.append(f"--volume={certificates}:/etc/ssl/certs/ca-certificates.crt:ro")
        command += [f"--file={recipe.dockerfile}", *_options(recipe), str(recipe.context)]
        node_images.buildah(*command)


def _options(recipe: Recipe) -> list[str]:
    arguments = [f"--build-arg={name}={value}" for name, value in recipe.arguments.items()]
    return arguments + [f"--label={name}={value}" for name, value in recipe.labels.items()]
