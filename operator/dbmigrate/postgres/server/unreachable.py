"""Why there is no connection, in words that say what to do.

While a connection is being made libpq gives a text and no SQLSTATE (psycopg 3.3 neither), so
the text is read; a server that speaks another language than English is understood as far
as libpq's own words go, and else told as it is. Where there is a SQLSTATE, it decides. No
password is repeated, whoever's words they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import psycopg

from dbmigrate import redaction
from dbmigrate.errors import UnreachableError

SECRETS: Final = ("password", "sslpassword", "oauth_client_secret")
_PLAIN: Final = ("host", "hostaddr", "port", "user", "dbname")
"""What a message may show even where a password is equal to it."""


class _Cause(NamedTuple):
    code: str
    pattern: str
    hint: str


_CAUSES: Final = (
    _Cause(
        "ConnectionSettingInvalid",
        r"definition of service|service file|invalid (integer|sslmode|channel_binding|gssencmode|"
        r"target_session_attrs|ssl_\w+_protocol_version) value|invalid value for parameter|"
        r"requires a value|invalid command-line argument",
        "correct that setting, where the connection comes from or in a PG* variable",
    ),
    _Cause(
        "StandbyServer",
        r"session is read-only|hot standby mode|server is a standby|server is not in",
        "connect to the primary, or name all hosts: postgresql://db-1,db-2/dbname finds it",
    ),
    _Cause(
        "ServerStarting",
        r"the database system is (starting|shutting|in recovery|not (yet )?accepting)",
        "wait until the server accepts connections",
    ),
    _Cause(
        "TooManyConnections",
        r"too many (clients|connections)|remaining connection slots|no more connections allowed",
        "free connections, or raise max_connections or the limit of the role or database",
    ),
    _Cause(
        "DatabaseDoesNotExist",
        r'database "[^"]*" does not exist|is not currently accepting connections',
        "create the database, or correct its name",
    ),
    _Cause(
        "ClientCertificateRequired",
        r"connection requires a valid client certificate|certificate authentication failed|"
        r"tlsv1\S* alert (certificate required|unknown ca)|sslv3 alert bad certificate|"
        r"could not (open|read|load) (private key|certificate) file|certificate present, but not",
        "give the client's own certificate and key by sslcert and sslkey",
    ),
    _Cause(
        "TlsNotTrusted",
        r"certificate verify failed|root certificate file|server certificate for|"
        r"self[- ]signed certificate",
        "give the server's authority by sslrootcert, and connect by the name in its certificate",
    ),
    _Cause(
        "TlsNotOffered",
        r"server does not support SSL|sslmode .* invalid when SSL support",
        "switch TLS on at the server, or choose another sslmode on purpose",
    ),
    _Cause(
        "TlsRequired",
        r"no encryption|SSL off",
        "the server wants TLS for this connection: set sslmode=require or verify-full",
    ),
    _Cause(
        "ConnectionNotAllowed",
        r"pg_hba\.conf|permission denied for database",
        "allow this user, host and database in pg_hba.conf, or grant CONNECT",
    ),
    _Cause(
        "AuthenticationFailed",
        r"authentication failed|no password supplied|role \"[^\"]*\" does not exist|"
        r"is not permitted to log in|fe_sendauth|SCRAM|password retrieved from file",
        "correct the user and the password",
    ),
    _Cause(
        "HostNotFound",
        r"could not translate host name|name or service not known|name resolution|"
        r"nodename nor servname|no address associated",
        "correct the host's name; in a cluster it is SERVICE.NAMESPACE.svc",
    ),
    _Cause(
        "ConnectionRefused",
        r"connection refused|no such file or directory",
        "start the server, or correct the host and the port",
    ),
    _Cause(
        "ConnectTimeout",
        r"timeout expired|timed out",
        "something between here and the server drops the packets: look at firewalls and policies",
    ),
    _Cause(
        "HostUnreachable",
        r"no route to host|network is unreachable|host is unreachable",
        "look at the network between here and the server",
    ),
    _Cause(
        "ConnectionLost",
        r"server closed the connection|connection reset|broken pipe|SSL connection has been closed",
        "the server's log says why it ended the connection",
    ),
)


_STATES: Final = {
    "28000": "AuthenticationFailed",
    "28P01": "AuthenticationFailed",
    "3D000": "DatabaseDoesNotExist",
    "42501": "ConnectionNotAllowed",
    "53300": "TooManyConnections",
    "57P01": "ServerStarting",
    "57P02": "ServerStarting",
    "57P03": "ServerStarting",
}
"""By SQLSTATE (PostgreSQL manual, appendix A)."""


def unreachable(
    error: psycopg.Error, params: Mapping[str, str], place: str, origin: str
) -> UnreachableError:
    """The error to show for a connection that could not be made."""
    text = without_secrets(str(error), params)
    cause = _cause(error.sqlstate or "", text)
    return UnreachableError(
        f"cannot connect to {redaction.by_position(place)} (from {origin}): {_brief(text)}",
        code=cause.code if cause else None,
        hint=cause.hint if cause else "",
    )


def _cause(sqlstate: str, text: str) -> _Cause | None:
    code = _STATES.get(sqlstate)
    for each in _CAUSES:
        if each.code == code or (code is None and re.search(each.pattern, text, re.IGNORECASE)):
            return each
    return None


def without_secrets(text: str, params: Mapping[str, str]) -> str:
    """The text with every secret of the connection blotted out."""
    secrets = [params[keyword] for keyword in SECRETS if keyword in params]
    return redaction.without(text, secrets, [params[name] for name in _PLAIN if name in params])


_ATTEMPT: Final = re.compile(
    r"- host: (None|'[^']*'), port: (None|'[^']*'), hostaddr: (?:None|'[^']*'): "
)
"""How psycopg lists what became of each host."""
_SERVER: Final = re.compile(r"connection to server (at|on) .* failed: ")


def _brief(text: str) -> str:
    """One line, without what libpq says around it; of several hosts each with its own."""
    first, _, attempts = text.partition("Multiple connection attempts failed.")
    found = _ATTEMPT.split(attempts)[1:]
    if not found:
        return _reason(first)[:500]
    return "; ".join(
        f"{_named(host, port)}: {_SERVER.sub('', _reason(reason))}"
        for host, port, reason in zip(found[0::3], found[1::3], found[2::3], strict=True)
    )[:500]


def _named(*parts: str) -> str:
    return ":".join(part.strip("'") for part in parts if part != "None")


def _reason(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("Is the server running")] or lines
    return re.sub(r"^(connection failed: )?", "", " ".join(lines)).strip()
