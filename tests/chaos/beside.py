"""What stands beside the versioned files: repeatable files and verifications. Pure."""

from __future__ import annotations

from random import Random
from typing import Final

from tests.chaos.sources import File

REPEATABLE: Final = "repeatable"
_NAMES: Final = ("functions", "views")


def make_repeatables(random: Random) -> tuple[File, ...]:
    """None, one or two; the second comes after the first by its header, against its name."""
    return tuple(make_repeatable(random, name) for name in _NAMES[: random.choice((0, 0, 1, 2))])


def make_repeatable(random: Random, name: str, variant: str = "") -> File:
    """One that leaves a row in the log each time it runs."""
    first, second = _NAMES
    step = f"0:{name}{variant}"
    path = f"repeatable/{name}.sql"
    function, body = f"r_{name}", f"select {random.randint(1, 9)}"
    values = f"('{path}', '{REPEATABLE}', '{step}')"
    statements = [
        f"create or replace function public.{function}() returns int language sql as '{body}';",
        f"insert into chaos.log (version, direction, step) values {values};",
        f"select pg_catalog.pg_sleep({random.choice((0, 0.01))});",
    ]
    if name == second:
        statements.insert(0, f"-- dbmigrate: after={first}")
        statements.append(f"create or replace view public.v_{name} as select public.r_{first}();")
    text = "\n".join(statements) + "\n"
    return File(path, REPEATABLE, path, text, (step,), frozenset(), 0, frozenset())


def make_verification(random: Random, version: str) -> str | None:
    """The text of one that holds whatever the migration is, and whose own row must not stay."""
    if random.random() < 0.6:
        return None
    return (
        "do $do$ begin insert into chaos.log (version, direction, step)"
        f" values ('{version}', 'verify', 'never to be seen');\n"
        f"assert (select n from chaos.counter where version = '{version}') = 1; end $do$;\n"
    )
