import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from pydantic import BaseModel

from dbmigrate.api import names
from dbmigrate.api.databasemigration import DatabaseMigrationSpec, parse_spec
from dbmigrate.api.report.events import EventName
from dbmigrate.cli.commands.group import dbmigrate_group
from dbmigrate.cli.settings.environment_keys import KEYS

ROOT = Path(__file__).parents[3]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "charts/dbmigrate-operator/README.md"]
OPERATOR = (ROOT / "docs" / "operator.md").read_text(encoding="utf-8")
COMMAND_LINE = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")


def _resources() -> Iterator[tuple[str, dict[str, Any]]]:
    for page in PAGES:
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            if "{{" in block:
                continue
            for each in yaml.safe_load_all(block):
                if isinstance(each, dict) and each.get("kind") == names.KIND:
                    yield page.name, each


def test_every_manifest_of_a_page_is_one_that_the_api_takes() -> None:
    """Who copies an example gets what the page says."""
    found = list(_resources())
    assert len({page for page, _ in found}) >= 2
    for _, each in found:
        parse_spec(each["spec"])


def test_the_page_with_every_field_has_every_field() -> None:
    """A field that is new in the spec, or in a part of it, has its place in docs/resource.md."""
    specs = [each["spec"] for page, each in _resources() if page == "resource.md"]
    fullest = max(specs, key=len)
    assert _missing(DatabaseMigrationSpec, fullest, "spec") == []


def _missing(model: type[BaseModel], given: dict[str, Any], path: str) -> list[str]:
    """The fields that are not given, those of objects within it too."""
    found = []
    for field in model.model_fields.values():
        name = field.alias
        if name not in given:
            found.append(f"{path}.{name}")
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found += _missing(field.annotation, given[name], f"{path}.{name}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_link_leads_nowhere(page: Path) -> None:
    """Links within the repository."""
    text = re.sub(r"`[^`\n]*`(?!\])", "", page.read_text(encoding="utf-8"))
    targets = [each.partition("#")[0] for each in re.findall(r"\]\(([^)]+)\)", text)]
    local = [each for each in targets if each and "://" not in each]
    assert [each for each in local if not (page.parent / each).exists()] == []


def _table(heading: str) -> list[list[str]]:
    section = OPERATOR.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_every_reason_is_explained_with_the_advice_that_the_status_gives() -> None:
    """The table of docs/operator.md and api/names.py say the same."""
    table = {cells[0].strip("`"): cells[2] for cells in _table("### Reasons")}
    assert table == {reason.value: names.NEXT_STEP.get(reason, "") for reason in names.Reason}


def test_every_phase_is_explained() -> None:
    """No word in the STATUS column is without its line."""
    told = {word.strip() for cells in _table("### Phases") for word in cells[0].split(",")}
    assert told == {phase.value for phase in names.Phase}


def _commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield path + name, command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path}{name} ")


@pytest.mark.parametrize("path", [path for path, _ in _commands(dbmigrate_group)])
def test_every_command_has_its_line(path: str) -> None:
    """In the table of docs/command-line.md."""
    assert re.search(rf"^\| `{path}[ `]", COMMAND_LINE, re.MULTILINE)


def test_every_option_is_told_on_some_page() -> None:
    """On its own, or on the page of what it is for."""
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    options = {
        name
        for _, command in _commands(dbmigrate_group)
        for param in command.params
        for name in param.opts
        if name.startswith("--")
    }
    assert [name for name in sorted(options) if not re.search(rf"{name}\b", pages)] == []


def test_every_event_and_every_key_of_an_environment_is_told() -> None:
    """Who reads JSON lines or writes an environment's file finds each name."""
    names_of_both = [*(each.value for each in EventName), *KEYS]
    assert [each for each in names_of_both if f"`{each}`" not in COMMAND_LINE] == []
