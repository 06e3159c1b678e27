"""A connection text, as libpq reads it, without ever repeating what it holds.

libpq's own complaints quote the part that it stumbled over. With an unescaped character
in a password that part is the password; so our errors name the kind of fault alone.
Source: PostgreSQL manual, 34.1.1 "Connection Strings".
"""

from __future__ import annotations

import re

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from dbmigrate.errors import UsageError

_URI_PREFIXES = ("postgresql://", "postgres://")
_MAX_PORT = 65535
_ESCAPE_HINT = (
    "in a URI, characters of a name or password such as @ : / ? # % are written as "
    "%40 %3A %2F %3F %23 %25"
)


def parse_conninfo(text: str, *, origin: str) -> dict[str, str]:
    """A ``postgresql://`` URI, or ``key=value`` pairs, as libpq keywords.

    Args:
        text: what the user gave; surrounding blanks do not count.
        origin: where it came from, for messages: ``DATABASE_URL``.

    Raises:
        UsageError: code InvalidDatabaseUri; the message holds no part of the text.
    """
    text = text.strip()
    is_uri = text.startswith(_URI_PREFIXES)
    if not text:
        raise _invalid(origin, "is empty", "postgresql://user@host:5432/dbname")
    if not is_uri and "://" in text.partition("=")[0]:
        raise _invalid(
            origin,
            "begins with another scheme than postgresql://",
            "drivers' own forms such as jdbc:postgresql:// or postgresql+psycopg:// do not fit",
        )
    if "\0" in text:
        raise _invalid(origin, "holds a NUL character", "remove it")
    try:
        raw = conninfo_to_dict(text)
    except ProgrammingError as error:
        # Up to the first quotation mark libpq's message is its own words alone.
        kind = str(error).partition('"')[0].strip().rstrip(":=,").strip()
        if kind == "missing":
            kind = "it is neither a URI nor key=value pairs"
        raise _invalid(
            origin,
            f"cannot be read: {kind}",
            _ESCAPE_HINT if is_uri else "write it as postgresql://user@host/dbname",
        ) from None  # the exception's own text quotes the fault
    params = {key: str(value) for key, value in raw.items() if value not in (None, "")}
    if is_uri and _is_misread(text):
        raise _invalid(origin, "holds an @ that is not percent-encoded", _ESCAPE_HINT)
    for port in filter(None, params.get("port", "").split(",")):
        if not (port.isascii() and port.isdecimal() and len(port) <= len(str(_MAX_PORT))):
            raise _invalid(origin, "has a port that is not a number", _ESCAPE_HINT)
        if not 0 < int(port) <= _MAX_PORT:
            raise _invalid(origin, "has a port out of range", f"from 1 to {_MAX_PORT}")
    return params


def _is_misread(uri: str) -> bool:
    """A password with / or ? ends the host for libpq, and the rest is read as another part.

    The only @ that is not percent-encoded stands between user and host.
    """
    rest = uri.partition("://")[2]
    host = re.split(r"[/?]", rest, maxsplit=1)[0]
    return rest.count("@") > host.count("@") or host.count("@") > 1


def _invalid(origin: str, problem: str, hint: str) -> UsageError:
    return UsageError(f"the connection in {origin} {problem}", code="InvalidDatabaseUri", hint=hint)
