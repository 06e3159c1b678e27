"""Passwords in text that others wrote: found by where they stand, or because they are known.

For messages that are about to be shown. It knows nothing of who wrote them, and keeps what
a reader needs to understand them: hosts, users, databases.
"""

from __future__ import annotations

import re
from collections.abc import Collection

MASK = "***"

_IN_URI = re.compile(r"(\b[a-z][a-z0-9+.-]{0,30}:/{1,2}[^\s/:@]*:)\S+(?=@)", re.IGNORECASE)
_BY_NAME = re.compile(
    r"(\b(?:password|passwd|sslpassword|oauth_client_secret)\s*=\s*)"
    r"""(?:'(?:[^'\\]|\\.)*'|"[^"]*"|[^\s&'"]+)""",
    re.IGNORECASE,
)
_QUOTED = re.compile("([\"'«„“])([^\"'«»„“”]+)(?=[\"'»“”])")
_SHORTEST = 6
"""Characters. A shorter secret outside of quotation marks is part of too many words."""


def by_position(text: str) -> str:
    """The text without what stands at the place of a password.

    In ``scheme://user:HERE@host``, and behind ``password=``.
    """
    return _BY_NAME.sub(rf"\g<1>{MASK}", _IN_URI.sub(rf"\g<1>{MASK}", text))


def without(text: str, secrets: Collection[str], plain: Collection[str] = ()) -> str:
    """The text without known secrets, and without what stands at a password's place.

    Args:
        text: a message, such as libpq's, which puts what it quotes in quotation marks.
        secrets: what must not be shown. In quotation marks all are found, elsewhere those
            that cannot be a word of the message's own.
        plain: what may be shown even where it is or holds a secret: host, user, database.
    """
    text = by_position(text)
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = _without(text, secret, plain)
    return text


def _without(text: str, secret: str, plain: Collection[str]) -> str:
    is_short = len(secret) < _SHORTEST

    def mask_quoted(match: re.Match[str]) -> str:
        token = match[2]
        if token in plain or (is_short and token != secret):
            return match[0]
        return match[1] + token.replace(secret, MASK)

    def mask_word(match: re.Match[str]) -> str:
        return match[0] if match[0] in plain else MASK

    text = _QUOTED.sub(mask_quoted, text)
    if is_short or secret.isalpha():
        return text
    # Longer ones first: a host that holds the secret is found as the host.
    kept = sorted((each for each in plain if secret in each), key=len, reverse=True)
    words = "|".join(re.escape(each) for each in (*kept, secret))
    return re.sub(rf"(?<!\w)(?:{words})(?!\w)", mask_word, text)
