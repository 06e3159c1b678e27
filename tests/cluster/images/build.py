"""Builds an image if what goes into it has changed since; says so and does nothing otherwise.

The hash of all inputs is a label of the image: what is there is asked of the image itself.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
from pathlib import Path

from tests.cluster.node.report import say, step
from tests.cluster.node.settings import Layout, NodeError

from .base import ensure_base
from .engine import Buildah, Docker, Recipe, docker_answers

_ROOT = Path(__file__).resolve().parents[3]
_HERE = Path(__file__).resolve().parent
_LABEL = "dbmigrate.dev/inputs"

PROJECT_IMAGE = "localhost/dbmigrate:dev"
POSTGRES_IMAGE = "localhost/dbmigrate-postgres:15"
OFFICIAL_POSTGRES_IMAGE = "docker.io/library/postgres:16"

_PROJECT_INPUTS = (
    "Dockerfile",
    ".dockerignore",
    "pyproject.toml",
    "uv.lock",
    "README.md",
    "LICENSE",
)


def project_image() -> str:
    """Return the name of the project's image, built from the working tree as it is now."""
    inputs = [_ROOT / name for name in _PROJECT_INPUTS]
    sources = (_ROOT / "operator").rglob("*")
    inputs += sorted(file for file in sources if file.is_file() and file.suffix != ".pyc")
    return _ensure(PROJECT_IMAGE, _ROOT / "Dockerfile", _ROOT, inputs, "PYTHON_IMAGE")


def postgres_image() -> str:
    """Return the name of a PostgreSQL server's image: the official one where Docker can pull."""
    if docker_answers():
        return OFFICIAL_POSTGRES_IMAGE
    context = _HERE / "postgres"
    inputs = sorted(context.iterdir())
    return _ensure(POSTGRES_IMAGE, context / "Dockerfile", context, inputs, "DEBIAN_IMAGE")


def _ensure(tag: str, dockerfile: Path, context: Path, inputs: list[Path], base: str) -> str:
    layout = Layout.of_user()
    layout.cache.mkdir(parents=True, exist_ok=True)
    with (layout.cache / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if docker_answers():
            engine: Docker | Buildah = Docker()
            arguments = {}
        else:
            engine = Buildah()
            arguments = {base: ensure_base()}
        digest = _digest(inputs, context)
        if engine.label(tag, _LABEL) == digest:
            say(f" • Image {tag} is up to date")
            return tag
        with step(f"Image {tag}"):
            engine.build(Recipe(tag, dockerfile, context, arguments, {_LABEL: digest}))
    return tag


def _digest(inputs: list[Path], context: Path) -> str:
    digest = hashlib.sha256()
    for file in inputs:
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(context)} {content}\n".encode())
    return digest.hexdigest()[:16]


def main(arguments: list[str] | None = None) -> int:
    """Build the images named on the command line, all of them by default; print their names."""
    builders = {"dbmigrate": project_image, "postgres": postgres_image}
    parser = argparse.ArgumentParser(prog="build", description=__doc__)
    parser.add_argument("images", nargs="*", metavar="IMAGE", help=" or ".join(builders))
    wanted = parser.parse_args(arguments).images or list(builders)
    if unknown := set(wanted) - set(builders):
        parser.error(f"no image is named {', '.join(sorted(unknown))}: {' or '.join(builders)}")
    try:
        for name in wanted:
            print(builders[name]())  # noqa: T201 - the answer
    except NodeError as error:
        say(f"ERROR: {error}")
        return 1
    return 0
