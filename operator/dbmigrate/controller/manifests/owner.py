"""The resource that an object is made for."""

from __future__ import annotations

from dataclasses import dataclass

from dbmigrate.api import names


def api_version() -> str:
    """``dbmigrate.dev/v1alpha1``."""
    return f"{names.GROUP}/{names.VERSION}"


@dataclass(frozen=True, slots=True)
class Owner:
    """The resource that an object is made for."""

    namespace: str
    name: str
    uid: str
