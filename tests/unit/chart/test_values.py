import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

import dbmigrate

CHART = Path(__file__).parents[3] / "charts" / "dbmigrate-operator"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


def test_the_chart_has_the_version_of_the_program() -> None:
    """Chart, appVersion (the image's tag) and package are released together."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["version"], chart["appVersion"]) == (dbmigrate.__version__,) * 2


def test_every_value_has_a_comment_above_it() -> None:
    """Whoever reads values.yaml finds each value explained where it stands."""
    lines = (CHART / "values.yaml").read_text(encoding="utf-8").splitlines()
    bare = [
        line.strip()
        for above, line in pairwise(lines)
        if re.match(r" *[A-Za-z]+:", line) and not above.lstrip().startswith("#")
    ]
    # Kubernetes' own parts of a default need no word of ours.
    own = re.compile(r"(requests|limits):|cpu: \d+m|memory: \d+Mi")
    assert [each for each in bare if not own.fullmatch(each)] == []


def test_the_schema_knows_exactly_the_values_that_there_are() -> None:
    """A value is never without its schema, and the schema never speaks of one that is gone."""
    known = set(_schema_paths(SCHEMA))
    assert set(_value_paths(VALUES)) == known - {"global"}


def test_no_object_of_our_own_takes_an_unknown_name() -> None:
    """A misspelt value is refused wherever it stands, but in Kubernetes' own objects."""
    loose = [
        path
        for path, node in _nodes(SCHEMA)
        if node.get("type") == "object" and node.get("additionalProperties", True) is True
    ]
    assert sorted(loose) == [
        "affinity",
        "global",
        "networkPolicy.healthFrom[]",
        "tolerations[]",
        "topologySpreadConstraints[]",
    ]


def _resolve(node: dict[str, Any]) -> dict[str, Any]:
    reference = node.get("$ref")
    return SCHEMA["definitions"][reference.rpartition("/")[2]] if reference else node


def _nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    node = _resolve(node)
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from _nodes(child, f"{path}.{name}".lstrip("."))
    if "items" in node:
        yield from _nodes(node["items"], f"{path}[]")


def _schema_paths(node: dict[str, Any]) -> Iterator[str]:
    for path, each in _nodes(node):
        if path and "[]" not in path and "properties" not in each:
            yield path


def _value_paths(values: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, value in values.items():
        where = f"{path}.{name}".lstrip(".")
        if isinstance(value, dict) and value and not name.endswith(("requests", "limits")):
            yield from _value_paths(value, where)
        else:
            yield where
