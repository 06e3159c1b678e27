"""Applying migrations: what `up` leaves in the database and says in its result."""

import hashlib

from dbmigrate.api.report import Outcome


def test_applies_every_file_in_order_of_versions(database):
    """1.10.0 comes after 1.9.0, and each file is one row of the history."""
    database.write("v1.10.0_second.sql", "alter table t add column b int;")
    database.write("v1.9.0_first.sql", "create table t (a int);")
    result = database.run("up")
    assert result.failure is None
    assert result.outcome is Outcome.SUCCEEDED
    assert result.current_version == "1.10.0"
    assert [record.version for record in result.applied] == ["1.9.0", "1.10.0"]
    assert database.history() == [
        ("1.9.0", "forward", "completed"),
        ("1.10.0", "forward", "completed"),
    ]
    path = database.folder / "v1.9.0_first.sql"
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    assert result.history[0].checksum == checksum
