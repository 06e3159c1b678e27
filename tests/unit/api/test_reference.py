from pathlib import Path

from dbmigrate.api import reference
from dbmigrate.api.crd import definition

ROOT = Path(__file__).parents[3]


def test_the_committed_reference_is_what_the_models_make() -> None:
    """docs/reference.md is generated; `make generate` writes it."""
    assert (ROOT / reference.PLACE).read_text(encoding="utf-8") == reference.render()


def test_every_field_of_the_schema_is_in_the_reference() -> None:
    """A field that can be written in a manifest or read in a status has a line."""
    (version,) = definition()["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]
    text = reference.render()
    for path, name in _fields("spec", schema["spec"]) | _fields("status", schema["status"]):
        section = text.split(f" {path}\n", 1)[1].split("\n#", 1)[0]
        assert f"| `{name}` |" in section, f"{path}.{name}"


def test_no_line_of_a_table_is_broken_by_its_text() -> None:
    """Every row has four cells: a bar within a text would end its cell."""
    rows = [line for line in reference.render().splitlines() if line.startswith("|")]
    assert rows
    assert [row for row in rows if row.replace("\\|", "").count("|") != 5] == []


def _fields(path: str, node: dict) -> set[tuple[str, str]]:
    found = {(path, name) for name in node.get("properties", {})}
    for name, child in node.get("properties", {}).items():
        found |= _fields(f"{path}.{name}", child)
    if "items" in node:
        found |= _fields(f"{path}[]", node["items"])
    return found
