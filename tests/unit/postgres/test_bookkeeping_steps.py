"""The steps that make the tables, and the list of what they make."""

import re

from dbmigrate.postgres.bookkeeping import TABLES, VERSION
from dbmigrate.postgres.bookkeeping.steps import STEPS


def test_every_table_of_the_steps_is_known_to_be_ours():
    """Else a foreign one of that name is not told, and ours is taken for the user's."""
    made = [
        name
        for path in STEPS.values()
        for name in re.findall(
            r"^create table (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE
        )
    ]
    assert sorted(made) == sorted(TABLES)


def test_the_steps_are_numbered_without_a_gap():
    """A database's version says which it has had."""
    assert list(STEPS) == list(range(1, VERSION + 1))
