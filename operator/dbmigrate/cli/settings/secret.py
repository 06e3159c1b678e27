"""A mounted Secret folder as a connection: one file a key.

Understood are the conventions of CloudNativePG (``uri``, ``dbname``, ``user``) and of
servicebinding.io (``uri``, ``database``, ``username``). A ``uri`` rules; what it does not
say is taken from the other keys. ``direct-uri`` is the server itself, where ``uri`` is a
connection pooler's. Keys that are not ours (``jdbc-uri``, ``pgpass``, ``type``)
are not read. Errors name the key's file and never show a value.
"""

from __future__ import annotations

import re
from pathlib import Path

from dbmigrate.cli.textfile import read_text
from dbmigrate.errors import Location, UsageError

ALTERNATIVES = {
    "host": ("host", "hostname"),
    "port": ("port",),
    "dbname": ("dbname", "database"),
    "user": ("user", "username"),
    "password": ("password",),
    "sslmode": ("sslmode",),
    "channel_binding": ("channel_binding",),
    "options": ("options",),
}
"""libpq's keyword, and the keys that may hold it."""

CERTIFICATES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
"""Keys that hold a path, or the PEM text itself: libpq is then pointed at the mounted file."""

DIRECT = "direct-uri"
"""The key for the same database without its connection pooler."""

_MAX_PORT = 65535


def read_secret(folder: Path) -> dict[str, str]:
    """The folder's keys as libpq keywords.

    Raises:
        UsageError: the folder is missing (SecretNotFound), holds neither ``uri`` nor
            ``host`` (SecretIncomplete), or a key is empty, no text, or two keys for one
            thing differ (InvalidSecret).
    """
    try:
        present = {entry.name for entry in folder.iterdir()}
    except OSError as error:
        raise UsageError(
            f"cannot read the Secret folder {str(folder)!r}: {error.strerror}",
            code="SecretNotFound",
            hint="--database-secret names the folder at which the Secret is mounted",
            location=Location(str(folder)),
        ) from error
    params: dict[str, str] = {}
    for keyword, names in ALTERNATIVES.items():
        found = {name: _value(folder, name) for name in names if name in present}
        if len(set(found.values())) > 1:
            raise UsageError(
                f"{folder}: the keys {' and '.join(found)} differ, but mean the same",
                code="InvalidSecret",
                hint="keep one of them",
                location=Location(str(folder)),
            )
        params.update(dict.fromkeys((keyword,) if found else (), next(iter(found.values()), "")))
    for name in CERTIFICATES:
        if name in present:
            value = _value(folder, name)
            params[name] = str(folder / name) if value.startswith("-----BEGIN") else value
    if "port" in params:
        _check_port(folder, params["port"])
    if "uri" in present:
        from dbmigrate.postgres.server.conninfo import parse_conninfo  # noqa: PLC0415 -- loads psycopg

        params.update(parse_conninfo(_value(folder, "uri"), origin=str(folder / "uri")))
    elif "host" not in params and DIRECT not in present:
        raise UsageError(
            f"{folder}: the Secret has neither the key uri nor the key host",
            code="SecretIncomplete",
            hint="give uri, or host, port, dbname, user and password",
            location=Location(str(folder)),
        )
    return params


def read_direct(folder: Path) -> dict[str, str] | None:
    """What the folder says of the server itself; None when it says nothing.

    Raises:
        UsageError: code InvalidSecret or InvalidDatabaseUri.
    """
    if not (folder / DIRECT).exists():
        return None
    from dbmigrate.postgres.server.conninfo import parse_conninfo  # noqa: PLC0415 -- loads psycopg

    return parse_conninfo(_value(folder, DIRECT), origin=str(folder / DIRECT))


def _value(folder: Path, name: str) -> str:
    path = folder / name
    value = read_text(path, what=f"the Secret's key {name}").rstrip("\r\n")
    if not value.strip():
        raise _invalid(path, "is empty", "give it a value, or remove the key")
    if "\0" in value or ("\n" in value and not value.startswith("-----BEGIN")):
        raise _invalid(path, "has more than one line", "one line, without an end of line")
    return value


def _check_port(folder: Path, text: str) -> None:
    number = int(text) if re.fullmatch(r"[0-9]{1,5}", text) else 0
    if not 0 < number <= _MAX_PORT:
        raise _invalid(folder / "port", "is not a port number", f"from 1 to {_MAX_PORT}")


def _invalid(path: Path, problem: str, hint: str) -> UsageError:
    return UsageError(
        f"{path}: the key {path.name} {problem}",
        code="InvalidSecret",
        hint=hint,
        location=Location(str(path)),
    )
