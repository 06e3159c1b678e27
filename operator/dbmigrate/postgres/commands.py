"""Which function does what a command asks for; each is loaded when it is needed.

`status` is asked often, and by people: it does not wait for what migrates to be loaded.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from dbmigrate.postgres.context import Context

_PLACES: Final = {
    "up": "migrating.migrate",
    "down": "migrating.migrate",
    "to": "migrating.migrate",
    "status": "reading.status",
    "plan": "reading.plan",
    "validate": "reading.validate",
    "lint": "reading.lint",
    "check": "integrity.command.check",
    "baseline": "amending.baseline.baseline",
    "resolve": "amending.resolving.resolve",
    "repair": "amending.repair.repair",
    "adopt": "adoption.adopt.adopt",
    "pin": "amending.pinning.pin",
}
"""Module and function, below this package."""


def command_named(name: str) -> Callable[[Context], None]:
    """The function of a command."""
    if name.partition(" ")[0] == "kept":
        from dbmigrate.postgres.rollback.commands import COMMANDS  # noqa: PLC0415 -- see above

        return COMMANDS[name]
    module, _, function = _PLACES[name].rpartition(".")
    loaded = importlib.import_module(f"{__package__}.{module}")
    return cast("Callable[[Context], None]", getattr(loaded, function))
