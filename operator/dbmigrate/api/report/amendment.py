"""What a command recorded in the history without running anything."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AmendmentAction(StrEnum):
    """What was done to the history without running anything."""

    BASELINE = "baseline"
    WITHDRAW = "withdraw"
    """A baseline was corrected: it is pending again."""
    REPAIR = "repair"
    ADOPT = "adopt"


@dataclass(frozen=True, slots=True)
class Amendment:
    """One change of the history that ran nothing."""

    action: AmendmentAction
    version: str
    file: str
    checksum: str
    """SHA-256 of the file's bytes as it is now recorded."""
    old_checksum: str = ""
    """What a repair replaces."""
    rollback: str = ""
    """The rollback's file, where its text is kept in the database from now on."""
    foreign: str = ""
    """What the other tool calls an adopted migration."""
    proof: str = ""
    """By what an adopted migration was matched with its file."""
    applied_at: str = ""
    """When an adopted migration was applied, as the other tool has it."""
