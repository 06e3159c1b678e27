"""The source as the operator sees it: names and checksums, never contents.

The operator judges only what the runner cannot: a ConfigMap that is missing, a file name that
two parts bring, inline files that are too large to be mounted. Everything else about the files
is told by the runner, which reads them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from dbmigrate.api.names import Reason
from dbmigrate.controller.observation import Observation
from dbmigrate.errors import SourceError
from dbmigrate.migrations.source import digest_of, parse_name, unique_name
from dbmigrate.migrations.version import Version

INLINE_LIMIT = 192 * 1024
"""Bytes of inline files: they travel in the pod's annotations, which may have 256 KiB in all."""


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source: its digest, or why it cannot be run."""

    digest: str | None
    checksums: dict[str, str] = field(default_factory=dict)
    """SHA-256 by file name."""
    latest: Version | None = None
    """The newest migration, as file names say."""
    problem: Reason | None = None
    message: str = ""


def inspect(observation: Observation) -> SourceView:
    """The source of a resource whose spec is valid."""
    spec = observation.spec
    if spec is None:
        return SourceView(None, problem=Reason.INVALID_SPEC)
    missing = sorted({view.name for view in observation.config_maps if not view.found})
    if missing:
        names = ", ".join(missing)
        return SourceView(
            None, problem=Reason.WAITING_FOR_SOURCE, message=f"ConfigMap not found: {names}"
        )
    if sum(len(text.encode()) for text in spec.source.inline.values()) > INLINE_LIMIT:
        return SourceView(
            None,
            problem=Reason.SOURCE_TOO_LARGE,
            message=f"the inline files have more than {INLINE_LIMIT // 1024} KiB in all",
        )
    files = [
        (f"{part.path}/{key}" if part.path else key, checksum, f"ConfigMap {view.name}")
        for part, view in zip(spec.source.config_maps, observation.config_maps, strict=True)
        for key, checksum in view.files
    ]
    files.extend(
        (name, hashlib.sha256(text.encode()).hexdigest(), "spec.source.inline")
        for name, text in sorted(spec.source.inline.items())
    )
    return _view(files)


def _view(files: list[tuple[str, str, str]]) -> SourceView:
    checksums: dict[str, str] = {}
    places: dict[str, str] = {}
    for path, checksum, place in files:
        name = unique_name(path)
        if name in places:
            return SourceView(
                None,
                problem=Reason.INVALID_SOURCE,
                message=f"the file {name} is there twice: in {places[name]} and in {place}",
            )
        places[name] = place
        checksums[name] = checksum
    if not files:
        return SourceView(
            None,
            problem=Reason.INVALID_SOURCE,
            message="the source holds no file whose name ends in .sql",
        )
    return SourceView(
        digest_of((path, checksum) for path, checksum, _ in files),
        checksums=checksums,
        latest=_latest(path for path, _, _ in files),
    )


def _latest(paths: Iterable[str]) -> Version | None:
    versions = []
    for path in paths:
        try:
            version, _, is_rollback = parse_name(path)
        except SourceError:
            continue
        if not is_rollback:
            versions.append(version)
    return max(versions, default=None)
