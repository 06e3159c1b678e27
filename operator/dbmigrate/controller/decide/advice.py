"""A runner's advice as it is followed in a cluster: by fields and annotations, not by options."""

from __future__ import annotations

import re

from dbmigrate.api.names import ANNOTATION_RETRY
from dbmigrate.api.report.outcome import Failure

_FIELDS = {
    "--backup-covers NAME": "spec.rollback.backupCovers",
    "--keep-limit": "spec.rollback.keepLimit",
    "--keep-data off": "spec.rollback.keepData: false",
    "--out-of-order warn": "spec.execution.outOfOrder: Warn",
    "--database-ahead warn": "spec.execution.databaseAhead: Warn",
    "--foreign-history ignore": "spec.execution.foreignHistory: Ignore",
    "without --transaction all": "with spec.execution.transaction: File",
    "--wait-lock": "spec.execution.advisoryLockTimeout",
    "--lock-timeout": "spec.execution.lockTimeout",
    "--lock-retry-timeout": "spec.execution.lockRetryTimeout",
    "--lock-retries": "spec.execution.lockRetries",
    "--statement-timeout": "spec.execution.statementTimeout",
}
"""What stands for an option of the command line in a manifest."""
_OPTION = re.compile("|".join(re.escape(each) for each in sorted(_FIELDS, reverse=True)))
_COMMANDS = (
    (re.compile(r"`dbmigrate up`"), "spec.targetVersion: latest"),
    (re.compile(r"`dbmigrate down` to below "), "a spec.targetVersion below "),
    (re.compile(r"`dbmigrate (?:to|down) ([0-9.]+)`"), r"spec.targetVersion: \1"),
)
"""Commands that the operator runs itself when it is asked to."""
_BY_HAND = re.compile(r"`dbmigrate [a-z]|\brun (?:it )?again\b")
_AFTERWARDS = f"; then set the annotation {ANNOTATION_RETRY} to a new value"


def advice(failure: Failure) -> str:
    """What to do next about a failure; empty when the runner says nothing.

    What is mended in the database itself is seen by nobody in the cluster: there the advice ends
    with how to run again.
    """
    text = _OPTION.sub(lambda found: _FIELDS[found[0]], failure.hint)
    for command, field in _COMMANDS:
        text = command.sub(field, text)
    if text and not failure.transient and _BY_HAND.search(text):
        return text.rstrip(".") + _AFTERWARDS
    return text
