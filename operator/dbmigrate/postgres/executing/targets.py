"""What a statement works on that PostgreSQL refuses inside a transaction.

Read from its tokens, names as they are written there, quotes included: the server resolves
them (``to_regclass``) in the search_path that the statement itself has.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from dbmigrate.migrations.sql.tokens import placed_tokens
from dbmigrate.migrations.statements import Statement


class Action(enum.StrEnum):
    """What such a statement does, as far as its leftovers are concerned."""

    CREATE_INDEX = "create index"
    DROP_INDEX = "drop index"
    REINDEX = "reindex"
    DETACH = "detach partition"
    CREATE_DATABASE = "create database"
    DROP_DATABASE = "drop database"
    CREATE_TABLESPACE = "create tablespace"
    DROP_TABLESPACE = "drop tablespace"
    CREATE_SUBSCRIPTION = "create subscription"
    DROP_SUBSCRIPTION = "drop subscription"
    REPEATABLE = "repeatable"
    """Whether it has run does not matter: it may run again (VACUUM, ALTER SYSTEM, CLUSTER)."""
    COMMITS = "commits by itself"
    """A procedure or DO block: what it did before its last COMMIT stays, even when it fails."""
    UNKNOWN = "unknown"
    """Nothing tells afterwards whether it has run, and twice may be once too often."""


_SMALL = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
"""The server folds ASCII letters alone; `tokens` leaves a word with others as it is."""


@dataclass(frozen=True, slots=True)
class Target:
    """A statement's action and the names in it."""

    action: Action
    name: str = ""
    """Of the object, as written; empty when the statement leaves it to the server."""
    table: str = ""
    """The index's or partition's table, as written."""
    is_conditional: bool = False
    """IF EXISTS, IF NOT EXISTS."""
    is_unique: bool = False
    """CREATE UNIQUE INDEX."""
    tail: str = ""
    """Of CREATE INDEX, what follows the table's name, as written."""
    kind: str = ""
    """Of REINDEX: ``index``, ``table``, ``schema``, ``database`` or ``system``."""

    @property
    def bare_name(self) -> str:
        """An index's or database's name as the catalog has it, without quotes."""
        name = self.name
        if name.startswith('"'):
            return name[1:-1].replace('""', '"')
        return name.translate(_SMALL)


_PLAIN = {
    "create": {
        "database": Action.CREATE_DATABASE,
        "tablespace": Action.CREATE_TABLESPACE,
        "subscription": Action.CREATE_SUBSCRIPTION,
    },
    "drop": {
        "database": Action.DROP_DATABASE,
        "tablespace": Action.DROP_TABLESPACE,
        "subscription": Action.DROP_SUBSCRIPTION,
    },
}
_REPEATABLE = frozenset({"vacuum", "cluster", "repack", "discard"})


def target_of(statement: Statement) -> Target:  # noqa: PLR0911 -- a table, one row each
    """The action of a statement, and what it works on."""
    placed = list(placed_tokens(statement.text))
    words = [word for _, word in placed]
    verb, what = words[0], words[1] if len(words) > 1 else ""
    if verb == "create" and "index" in words[1:3]:
        target, rest = _create_index(words[words.index("index") + 1 :])
        tail = statement.text[placed[-len(rest)][0] :] if rest else ""
        return replace(target, is_unique=what == "unique", tail=tail)
    if verb == "drop" and what == "index":
        rest, is_conditional = _skip(words[2:], "concurrently", ("if", "exists"))
        return Target(Action.DROP_INDEX, name=_name(rest)[0], is_conditional=is_conditional)
    if what in _PLAIN.get(verb, ()):
        rest, is_conditional = _skip(words[2:], ("if", "exists"))
        return Target(_PLAIN[verb][what], name=_name(rest)[0], is_conditional=is_conditional)
    if verb == "reindex":
        return _reindex(words[1:])
    if verb == "alter" and what == "table":
        rest, is_conditional = _skip(words[2:], ("if", "exists"), "only")
        table, rest = _name(rest)
        rest = rest[rest.index("partition") + 1 :] if "partition" in rest else []
        return Target(Action.DETACH, _name(rest)[0], table, is_conditional)
    if verb in _REPEATABLE or (verb == "alter" and what in ("system", "database")):
        return Target(Action.REPEATABLE)
    return Target(Action.UNKNOWN)


def _create_index(words: list[str]) -> tuple[Target, list[str]]:
    """From behind INDEX on; and what follows the table's name."""
    words, is_conditional = _skip(words, "concurrently", ("if", "not", "exists"))
    name = ""
    if words[:1] != ["on"]:
        name, words = _name(words)
    words, _ = _skip(words, "on", "only")
    table, words = _name(words)
    return Target(Action.CREATE_INDEX, name, table, is_conditional), words


def _reindex(words: list[str]) -> Target:
    """From behind REINDEX on."""
    if words[:1] == ["("] and ")" in words:
        words = words[words.index(")") + 1 :]
    kind, rest = words[0] if words else "", words[1:]
    rest, _ = _skip(rest, "concurrently")
    return Target(Action.REINDEX, name=_name(rest)[0], kind=kind)


def _skip(words: list[str], *parts: str | tuple[str, ...]) -> tuple[list[str], bool]:
    """Leave out what may stand there; whether IF … was among it."""
    is_conditional = False
    for part in parts:
        wanted = [part] if isinstance(part, str) else list(part)
        if words[: len(wanted)] == wanted:
            words = words[len(wanted) :]
            is_conditional = is_conditional or wanted[0] == "if"
    return words, is_conditional


def _name(words: list[str]) -> tuple[str, list[str]]:
    """A name, perhaps with schema, from the front; and what follows."""
    end = 1
    while words[end : end + 1] == ["."]:
        end += 2
    return "".join(words[:end]), words[end:]
