"""Which statements change the session alone, and nothing that lasts in the database.

Where a file runs by statement and is taken up again in a new session, these are said again:
what follows them was written for the session that they make.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

from dbmigrate.migrations.sql.split import Statement
from dbmigrate.migrations.sql.tokens import IDENT_PART, SPACE, tokens

_VERBS: Final = frozenset(
    {"set", "reset", "listen", "unlisten", "load", "discard", "prepare", "deallocate"}
)
_MAY_BE_TEMPORARY: Final = re.compile(
    rf"create(?![{SPACE}]++(?!or|temp|local|global)[a-z])", re.IGNORECASE | re.ASCII
)
"""A quick no for the many that are not."""
_IN_TRANSACTION: Final = frozenset({"local", "transaction", "constraints"})
_TELLING: Final = re.compile(
    rf"(?:set|lock|reset|discard|select(?=[{SPACE}]++(?:pg_catalog|set_config)))(?!{IDENT_PART})",
    re.IGNORECASE | re.ASCII,
)
"""A quick no for the many that do not change the session."""
_FALSE: Final = "false"


def is_session_only(statement: Statement) -> bool:
    """Whether it is SET, RESET and their like, whose effect ends with the session."""
    words = list(islice(tokens(statement.text), 2))
    if words[:1] == ["select"]:
        return _set_config(statement) == _FALSE
    return words[:1] != [] and words[0] in _VERBS and _IN_TRANSACTION.isdisjoint(words[1:])


def holds_for_its_transaction(statement: Statement) -> str:
    """The words of SET LOCAL, LOCK and their like, which COMMIT takes back; else empty."""
    if _TELLING.match(statement.text) is None:
        return ""
    words = list(islice(tokens(statement.text), 2))
    if words[:1] == ["lock"]:
        return "LOCK"
    if words[:1] == ["set"] and not _IN_TRANSACTION.isdisjoint(words[1:]):
        return " ".join(words).upper()
    return "set_config(…, true)" if _set_config(statement) == "true" else ""


def resets_all(statement: Statement) -> bool:
    """Whether it is DISCARD ALL or RESET ALL, which forget what we have set too."""
    if _TELLING.match(statement.text) is None:
        return False
    return list(islice(tokens(statement.text), 3)) in (["discard", "all"], ["reset", "all"])


def resets_lock_timeout(statement: Statement) -> bool:
    """Whether it sets lock_timeout to the server's default, which is to wait without end."""
    if _TELLING.match(statement.text) is None:
        return False
    words = list(islice(tokens(statement.text), 6))
    if words[:1] == ["set"] and words[1:2] in (["session"], ["local"]):
        del words[1]
    return words in (
        ["reset", "lock_timeout"],
        ["set", "lock_timeout", "to", "default"],
        ["set", "lock_timeout", "=", "default"],
    )


def _set_config(statement: Statement) -> str:
    """Of a SELECT that only calls set_config with constants, its third argument; else empty."""
    if _TELLING.match(statement.text) is None:
        return ""
    words = list(islice(tokens(statement.text), 12))
    call = words[3:] if words[1:3] == ["pg_catalog", "."] else words[1:]
    match call:
        case ["set_config", "(", name, ",", value, ",", "true" | "false" as is_local, ")"]:
            return is_local if name.endswith("'") and value.endswith("'") else ""
        case _:
            return ""


def makes_temporary(statement: Statement) -> bool:
    """Whether it is CREATE TEMPORARY …, whose table a new session would miss."""
    if _MAY_BE_TEMPORARY.match(statement.text) is None:
        return False
    words = list(islice(tokens(statement.text), 6))
    if words[:1] != ["create"]:
        return False
    rest = words[3:] if words[1:3] == ["or", "replace"] else words[1:]
    return rest[:1] in (["temp"], ["temporary"]) or rest[:2] in (
        ["local", "temp"],
        ["local", "temporary"],
        ["global", "temp"],
        ["global", "temporary"],
    )
