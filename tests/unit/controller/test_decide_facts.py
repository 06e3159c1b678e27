"""What a result's failure becomes in the status."""

import pytest

from dbmigrate.api.report.outcome import Failure
from dbmigrate.controller.decide.facts import failure_status


@pytest.mark.parametrize("mount", ["/source/0/", "/source/12/", "/source/inline/"])
def test_files_bear_the_names_that_the_user_gave_them(mount: str) -> None:
    """A mount's folder in the pod says nothing to a person who knows the ConfigMap's keys."""
    file = "rollbacks/v1.0.0_rollback.sql"
    failure = Failure(code="Any", message=f"{mount}{file}: no", file=f"{mount}{file}")

    status = failure_status(failure)

    assert (status.file, status.message) == (file, f"{file}: no")


def test_other_paths_stay_as_they_are() -> None:
    """Only the mounts of the source are taken away."""
    failure = Failure(code="Any", message="could not read /source/data", file="/etc/source/0")

    assert failure_status(failure).message == "could not read /source/data"
    assert failure_status(failure).file == "/etc/source/0"
