"""Which statements break the promise that a file is one transaction.

Two kinds do: those that begin or end transactions themselves, and those that PostgreSQL
refuses inside one (every call of ``PreventInTransactionBlock`` in its source whose
condition can be seen in the statement). It is decided from tokens, never from raw text,
and only for the outermost statement: what a DO block or a function does, the server judges.
"""

from __future__ import annotations

import enum
import re
from itertools import islice, pairwise

from dbmigrate.migrations.sql.split import Statement, copy_direction
from dbmigrate.migrations.sql.tokens import IDENT_PART, SPACE, tokens

_COPY = re.compile(rf"copy(?!{IDENT_PART})", re.IGNORECASE)
_FALSE = frozenset({"false", "off", "0", "no"})
_TELLING = re.compile(
    rf"""begin|start|commit|end|rollback|abort|savepoint|release|prepare
       |vacuum|discard|reindex|cluster|repack
       |(?P<concurrently>
           alter(?=[{SPACE}]++table[{SPACE}])
           |(?:create|drop)(?=[{SPACE}]++(?:unique|index)[{SPACE}]))
       |alter(?![{SPACE}]++(?!system|database|subscription|table)[a-z])
       |(?:create|drop)(?![{SPACE}]++(?!database|tablespace|index|unique|subscription)[a-z])""",
    re.IGNORECASE | re.ASCII | re.VERBOSE,
)
"""How statements begin that are worth reading; a quick no for the many that are not. Those of
the group decide nothing without that word."""
_WHOLE = frozenset({"alter", "cluster", "reindex", "repack"})
"""First words of the statements that must be read to their end; a head tells the others."""


class StatementKind(enum.Enum):
    """What a statement means for the transaction that its file is."""

    ORDINARY = "ordinary"
    TRANSACTION_CONTROL = "transaction control"
    """It begins or ends a transaction, or a part of one (BEGIN, COMMIT, SAVEPOINT …)."""
    OUTSIDE_TRANSACTION = "outside a transaction"
    """PostgreSQL refuses it inside a transaction (SQLSTATE 25001)."""


_ORDINARY = (StatementKind.ORDINARY, "")


def kind_of(statement: Statement) -> StatementKind:
    """What the statement means for its file's transaction."""
    return classify(statement)[0]


def classify(statement: Statement) -> tuple[StatementKind, str]:
    """The kind, and the words that decide it (``CREATE INDEX CONCURRENTLY``), empty when ordinary.

    Whether CLUSTER or REINDEX of one table may run inside a transaction depends on its
    being partitioned, which only the server knows: these are ordinary here.
    """
    telling = _TELLING.match(statement.text)
    if telling is None or (
        telling["concurrently"] and "concurrently" not in statement.text.lower()
    ):
        return _ORDINARY
    words = _head(statement.text)
    if command := _transaction_control(words):
        return StatementKind.TRANSACTION_CONTROL, command
    if command := _outside_transaction(words):
        return StatementKind.OUTSIDE_TRANSACTION, command
    return _ORDINARY


def sends_to_client(statement: Statement) -> bool:
    """Whether it is ``COPY … TO stdout``, which nobody would read."""
    return _COPY.match(statement.text) is not None and copy_direction(statement.text) == "out"


def _head(text: str) -> list[str]:
    """The first four tokens, or all of them where the end of the statement decides."""
    stream = tokens(text)
    words = list(islice(stream, 4))
    if words[:1] and (words[0] in _WHOLE or words[1:2] == ["subscription"]):
        words.extend(stream)
    return words


def _transaction_control(words: list[str]) -> str:
    match words:
        case ["begin" | "end" | "abort" | "savepoint" | "release" as verb, *_]:
            return verb.upper()
        case ["commit" | "rollback" as verb, "prepared", *_]:
            return f"{verb.upper()} PREPARED"
        case ["commit" | "rollback" as verb, *_]:
            return verb.upper()
        case ["start", "transaction", *_]:
            return "START TRANSACTION"
        case ["prepare", "transaction", name, *_] if name.endswith(("'", "$")):
            return "PREPARE TRANSACTION"  # without a string it prepares a statement of that name
        case _:
            return ""


def _outside_transaction(words: list[str]) -> str:  # noqa: PLR0911 -- a table, one row each
    match words:
        case ["vacuum", *_]:
            return "VACUUM"
        case ["discard", "all"]:
            return "DISCARD ALL"
        case ["create" | "drop" as verb, "database" | "tablespace" as what, *_]:
            return f"{verb.upper()} {what.upper()}"
        case ["create" | "drop" as verb, "index", "concurrently", *_]:
            return f"{verb.upper()} INDEX CONCURRENTLY"
        case ["create", "unique", "index", "concurrently"]:
            return "CREATE UNIQUE INDEX CONCURRENTLY"
        case ["create" | "alter" | "drop" as verb, "subscription", _, *rest]:
            return _subscription(verb, rest)
        case ["alter", *rest]:
            return _alter(rest)
        case ["reindex" | "cluster" | "repack" as verb, *rest]:
            options, rest = _options(rest)
            return _rebuild(verb, options, rest)
        case _:
            return ""


def _alter(words: list[str]) -> str:
    match words:
        case ["system", *_]:
            return "ALTER SYSTEM"
        case ["database", _, "set", "tablespace", *_]:
            return "ALTER DATABASE … SET TABLESPACE"
        case ["table", *rest] if _detaches_concurrently(rest):
            return "ALTER TABLE … DETACH PARTITION … CONCURRENTLY"
        case _:
            return ""


def _detaches_concurrently(words: list[str]) -> bool:
    # A partition may itself be called so, behind its schema: s.concurrently.
    return (
        len(words) > 1
        and words[-1] == "concurrently"
        and words[-2] != "."
        and ("detach", "partition") in pairwise(words)
    )


def _rebuild(verb: str, options: dict[str, str], words: list[str]) -> str:
    """REINDEX, CLUSTER, and REPACK (PostgreSQL 19): concurrently, or over many tables."""
    if _is_on(options, "concurrently", default=False) or words[1:2] == ["concurrently"]:
        return f"{verb.upper()} CONCURRENTLY"
    if verb == "reindex" and words[:1] in (["schema"], ["database"], ["system"]):
        return f"REINDEX {words[0].upper()}"
    if verb != "reindex" and words in ([], ["verbose"], ["using", "index"]):
        return f"{verb.upper()} of all tables"
    return ""


def _subscription(verb: str, words: list[str]) -> str:
    """Whatever makes, drops or changes a replication slot on the other server."""
    options = _options(words[words.index("with") + 1 :])[0] if "with" in words else {}
    if verb == "drop":
        return "DROP SUBSCRIPTION"
    if verb == "create":
        connects = _is_on(options, "connect", default=True)
        return "CREATE SUBSCRIPTION" if _is_on(options, "create_slot", default=connects) else ""
    match words:
        case ["refresh", *_]:
            return "ALTER SUBSCRIPTION … REFRESH"
        case ["add" | "drop" | "set" as change, "publication", *_]:
            refreshes = _is_on(options, "refresh", default=True)
            return f"ALTER SUBSCRIPTION … {change.upper()} PUBLICATION" if refreshes else ""
        case ["set", *rest] if not {"failover", "two_phase"}.isdisjoint(_options(rest)[0]):
            return "ALTER SUBSCRIPTION … SET"
        case _:
            return ""


def _options(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """The options of a leading ``(name value, …)``, and the words behind it."""
    if words[:1] != ["("] or ")" not in words:
        return {}, words
    end = words.index(")")
    options: dict[str, str] = {}
    name = ""
    for word in words[1:end]:
        if word == ",":
            name = ""
        elif not name:
            name = word.strip('"')
            options[name] = ""
        elif word != "=":
            options[name] = word.strip("'\"").lower()
    return options, words[end + 1 :]


def _is_on(options: dict[str, str], name: str, *, default: bool) -> bool:
    """A Boolean option; named without a value it is on."""
    return options[name] not in _FALSE if name in options else default
