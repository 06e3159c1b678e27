"""Which of PostgreSQL's run-time parameters a user may set for migrations; pure.

One rule for both places: an environment's (``--set``, ``MIGRATION_SETTINGS``) and a file's own
header. Any parameter may be set, of an extension too, but for those on which the engine's
promises rest. Whether the server knows a name, accepts a value and grants the right is the
server's to say. Source of names: PostgreSQL manual, chapter 20, "Server Configuration".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_NAME: Final = re.compile(r"[a-z_][a-z0-9_$]*(?:\.[a-z_][a-z0-9_$]*){0,3}", re.ASCII)
_LONGEST_NAME: Final = 127
_LONGEST_VALUE: Final = 1000
_TRANSACTION: Final = "a migration's transaction is dbmigrate's own"
_READING: Final = "the file is read as the server's default has it"
_IDENTITY: Final = "the role is the connection's: give another user, or ALTER ROLE … SET role"

_OWNED: Final[Mapping[str, str]] = {
    "standard_conforming_strings": _READING,
    "client_encoding": "files are UTF-8",
    "default_transaction_read_only": _TRANSACTION,
    "transaction_read_only": _TRANSACTION,
    "default_transaction_isolation": _TRANSACTION,
    "transaction_isolation": _TRANSACTION,
    "default_transaction_deferrable": _TRANSACTION,
    "transaction_deferrable": _TRANSACTION,
    "role": _IDENTITY,
    "session_authorization": _IDENTITY,
    "is_superuser": _IDENTITY,
    "session_replication_role": "triggers and foreign keys would be switched off for whole files: "
    "write SET LOCAL beside the statements that need it",
    "row_security": "rows would be hidden from the history or shown: write SET LOCAL beside the "
    "statements that need it",
    "search_path": "where a file's objects go must be seen in the file, or be the role's: write "
    "the schema's name, SET LOCAL search_path, or ALTER ROLE … SET search_path",
    "application_name": "it tells people who holds the lock",
    "app.environment": "it is what --environment says",
    "client_connection_check_interval": "by it the server notices a runner that died",
}
"""What the engine sets or relies on, and what is said to who asks for it."""


_DURATION: Final = re.compile(
    r"(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(?P<unit>[a-z]*)", re.ASCII
)
_SECONDS: Final[Mapping[str, float]] = {
    "us": 0.000001, "ms": 0.001, "": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0,
}  # fmt: skip
"""Units of time of PostgreSQL's; a timeout without one is in milliseconds (manual, 20.1.1)."""


class ParameterRefusedError(ValueError):
    """A name or value that may not be set; its text is a sentence for people."""


def check_parameter(name: str, value: str) -> str:
    """The parameter's name as it is set: in small letters, since PostgreSQL ignores case.

    Args:
        name: as the user wrote it; blanks around it do not count.
        value: as the user wrote it, without quotation marks of its own; may be empty.

    Raises:
        ParameterRefusedError: it is no parameter's name, is the engine's own, or the value
            cannot be any parameter's.
    """
    key = name.strip().lower()
    if len(key) > _LONGEST_NAME or _NAME.fullmatch(key) is None:
        shown = name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "…"
        raise ParameterRefusedError(f"{shown!r} is not the name of a parameter of PostgreSQL's")
    if key in _OWNED:
        raise ParameterRefusedError(f"{key} cannot be set: {_OWNED[key]}")
    if key == "synchronous_commit" and value.strip().lower() in {"off", "false", "no", "0"}:
        raise ParameterRefusedError(
            "synchronous_commit cannot be off: what was told to be committed survives a crash"
        )
    if len(value) > _LONGEST_VALUE or not value.isprintable():
        raise ParameterRefusedError(
            f"the value of {key} is longer than {_LONGEST_VALUE} characters, or holds characters "
            "that cannot be shown"
        )
    return key


def seconds_of(value: str) -> float | None:
    """A timeout's value, such as ``2s``, ``500ms`` or ``0``, in seconds.

    None for what the server may understand and we do not.
    """
    match = _DURATION.fullmatch(value.strip())
    if match is None or match["unit"] not in _SECONDS:
        return None
    return float(match["number"]) * _SECONDS[match["unit"]]
