"""The page about linting says of each rule what the code does."""

import re
from pathlib import Path

from dbmigrate.api.lint import LintLevel
from dbmigrate.lint import check
from dbmigrate.lint.rules import RULES

PAGE = (Path(__file__).parents[3] / "docs" / "lint.md").read_text(encoding="utf-8")


def _listed(begin, end):
    section = PAGE.split(begin, 1)[1].split(end, 1)[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`([a-z-]+)`", cell)]


def test_each_rule_is_listed_once_under_its_level():
    """With the reason for it."""
    levels = {
        LintLevel.REFUSE: _listed("**Refused** is", "**Reported** is"),
        LintLevel.REPORT: _listed("**Reported** is", "**Off** is"),
        LintLevel.OFF: _listed("**Off** is", "A rule of a later squawk"),
    }
    listed = {name: level for level, names in levels.items() for name in names}
    assert listed == {rule.name: rule.level for rule in RULES.values()}
    assert sum(map(len, levels.values())) == len(RULES)


def test_the_limits_are_those_of_the_code():
    """In words."""
    assert check.FILE_LIMIT == 8 * 1024 * 1024
    assert "more than 8 MiB" in PAGE
    assert check.TEXT_LIMIT == 1_000_000
    assert "more than a million characters" in PAGE
