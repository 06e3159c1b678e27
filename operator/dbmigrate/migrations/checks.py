"""Reads the file of integrity checks that lies beside the migrations (``checks.yaml``).

Every complaint names the field by its path and its line. What the checks mean, and how they are
run, is not known here.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import yaml
from pydantic import ValidationError

from dbmigrate.api.checks import IntegrityCheck, IntegrityCheckFile
from dbmigrate.errors import Location, SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAX_BYTES = 1 << 20
"""A larger file is no list of fifty checks."""

_SHOWN_ERRORS = 10


def load_checks(path: Path) -> list[IntegrityCheck]:
    """The checks of a file, in their order.

    Raises:
        SourceError: the file cannot be read, is not YAML, or a field in it does not fit; its
            location is the first thing that is wrong.
    """
    text = _read(path)
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        raise SourceError(
            f"{path} is not YAML: {error.problem or error}", location=_marked(path, error)
        ) from error
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise SourceError(f"{path} is not YAML: {error}", location=Location(str(path))) from error
    except RecursionError as error:
        raise SourceError(f"{path} is nested too deeply", location=Location(str(path))) from error
    _refuse_double_keys(path, tree)
    if not isinstance(data, dict):
        raise SourceError(
            f"{path}: expected a mapping with the key integrityChecks",
            location=Location(str(path), 1),
        )
    try:
        return list(IntegrityCheckFile.model_validate(data).integrity_checks)
    except ValidationError as error:
        raise _complaint(path, tree, error) from error


def _read(path: Path) -> str:
    try:
        # O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:  # noqa: PTH123 -- of a descriptor
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                raise SourceError(f"{path} is not a regular file", location=Location(str(path)))
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SourceError(
            f"cannot read the integrity checks {path}: {error.strerror}",
            location=Location(str(path)),
        ) from error
    if len(content) > MAX_BYTES:
        raise SourceError(f"{path} is larger than 1 MiB", location=Location(str(path)))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SourceError(f"{path} is not UTF-8", location=Location(str(path), line)) from error


def _marked(path: Path, error: yaml.MarkedYAMLError) -> Location:
    mark = error.problem_mark
    return Location(str(path), mark.line + 1, mark.column + 1) if mark else Location(str(path))


def _refuse_double_keys(path: Path, node: yaml.Node | None) -> None:
    """YAML forbids two equal keys, PyYAML takes the last: half of what was written would vanish."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_double_keys(path, item)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                mark = key.start_mark
                raise SourceError(
                    f"{path}: the key {key.value!r} stands twice",
                    location=Location(str(path), mark.line + 1, mark.column + 1),
                )
            seen.add(str(key.value))
            _refuse_double_keys(path, value)


def _complaint(path: Path, tree: yaml.Node | None, error: ValidationError) -> SourceError:
    problems = error.errors(include_url=False)
    sentences = []
    for problem in problems[:_SHOWN_ERRORS]:
        message = problem["msg"].removeprefix("Value error, ")
        place = _path(problem["loc"])
        sentence = f"{place}: {message}" if place else message
        line = _place(path, tree, problem["loc"]).line
        sentences.append(f"line {line}: {sentence}" if line else sentence)
    if len(problems) > _SHOWN_ERRORS:
        sentences.append(f"and {len(problems) - _SHOWN_ERRORS} more")
    return SourceError(
        f"{path}: " + "; ".join(sentences), location=_place(path, tree, problems[0]["loc"])
    )


def _path(location: Sequence[int | str]) -> str:
    """As people write it: ``integrityChecks[2].range.min``."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _place(path: Path, node: yaml.Node | None, location: Sequence[int | str]) -> Location:
    """Where in the file the path leads, as far as the file goes with it."""
    for part in location:
        following: yaml.Node | None = None
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            following = node.value[part] if part < len(node.value) else None
        elif isinstance(node, yaml.MappingNode):
            following = next((value for key, value in node.value if key.value == part), None)
        if following is None:
            break
        node = following
    if node is None:
        return Location(str(path))
    return Location(str(path), node.start_mark.line + 1, node.start_mark.column + 1)
