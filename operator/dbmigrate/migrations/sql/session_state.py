"""Which statements change the session alone, and nothing that lasts in the database.

Where a file runs by statement and is taken up again in a new session, these are said again:
what follows them was written for the session that they make.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

from dbmigrate.migrations.sql.split import Statement
from dbmigrate.migrations.sql.tokens import SPACE, tokens

_VERBS: Final = frozenset(
    {"set", "reset", "listen", "unlisten", "load", "discard", "prepare", "deallocate"}
)
_MAY_BE_TEMPORARY: Final = re.compile(
    rf"create(?![{SPACE}]++(?!or|temp|local|global)[a-z])", re.IGNORECASE | re.ASCII
)
"""A quick no for the many that are not."""
_IN_TRANSACTION: Final = frozenset({"local", "transaction", "constraints"})


def is_session_only(statement: Statement) -> bool:
    """Whether it is SET, RESET and their like, whose effect ends with the session."""
    words = list(islice(tokens(statement.text), 2))
    return words[:1] != [] and words[0] in _VERBS and _IN_TRANSACTION.isdisjoint(words[1:])


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
