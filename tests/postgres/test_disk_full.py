"""A disk that is full: the error says so, database and history agree, the next run carries on."""

import os
import pwd
import subprocess
from pathlib import Path

import pytest
from servers import Server, binaries

from conftest import NEWEST, _database
from dbmigrate.api.report.outcome import Outcome

pytestmark = pytest.mark.one_version


class Disk:
    """A small disk in memory."""

    def __init__(self, path: Path, mebibytes: int) -> None:
        self.path = path
        path.mkdir()
        self._mount(f"size={mebibytes}m", "tmpfs")

    def _mount(self, options: str, *more: str) -> None:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, *more, self.path],
            check=True, capture_output=True,
        )  # fmt: skip

    def grow(self, mebibytes: int) -> None:
        """Somebody gives it more."""
        subprocess.run(
            ["mount", "-o", f"remount,size={mebibytes}m", self.path],
            check=True, capture_output=True,
        )  # fmt: skip

    def remove(self) -> None:
        """Take it away, whoever may still look at it."""
        subprocess.run(["umount", "-l", self.path], check=True)


@pytest.fixture
def disk(tmp_path):
    """Makes a disk of some size, which a server may write to."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    made = []

    def make(mebibytes):
        try:
            made.append(Disk(tmp_path / "disk", mebibytes))
        except subprocess.CalledProcessError as error:
            pytest.skip(f"a small disk cannot be mounted here: {error.stderr.decode().strip()}")
        account = pwd.getpwnam("postgres")
        os.chown(made[0].path, account.pw_uid, account.pw_gid)
        for parent in made[0].path.parents:
            if parent.stat().st_uid == os.geteuid() and str(parent) != "/":
                parent.chmod(parent.stat().st_mode | 0o011)  # the server's user passes through
        return made[0]

    yield make
    for each in made:
        each.remove()


FILL = "create table b as select repeat(md5(n::text), 60) as t from generate_series(1, 30000) as n;"


def test_a_full_tablespace(own_database, disk):
    """The statement is named, what to do is said, and the file is undone."""
    database = own_database
    small = disk(8)
    database.connection.execute(f"create tablespace small location '{small.path}'")
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", f"set local default_tablespace = 'small';\n{FILL}")
    result = database.run("up")
    failure = result.failure
    assert (failure.sqlstate, failure.line, result.exit_code) == ("53100", 2, 1)
    assert "free space on the server's disk" in failure.hint
    assert (result.current_version, result.pending_versions) == ("1.0.0", ("1.1.0",))
    assert not database.has("b")
    small.grow(200)
    result = database.run("up")
    assert (result.failure, result.current_version) == (None, "1.1.0")
    assert database.value("select count(*) from b") == 30000


def test_a_full_data_folder(database_on, disk):
    """History, log and tables on one disk: the server may even crash."""
    small = disk(72)
    database = database_on(small.path / "data")
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", FILL)
    result = database.run("up")
    assert result.outcome is Outcome.FAILED
    assert "free space" in result.failure.hint or result.failure.code == "ConnectionLost"
    assert [record.version for record in result.applied] == ["1.0.0"]
    small.grow(400)
    if database.server._process.poll() is not None:
        database.server.start()
    database.server.wait()
    result = database.run("up")
    assert (result.failure, result.current_version) == (None, "1.1.0")
    with database.another() as other:
        query = "select version from schema_migrations where status = 'completed' order by id"
        assert other.execute(query).fetchall() == [("1.0.0",), ("1.1.0",)]
        assert other.execute("select count(*) from b").fetchone() == (30000,)


@pytest.fixture
def database_on(tmp_path):
    """A database on a server whose data are in a given folder."""
    servers, parts = [], []

    def make(data):
        programs = binaries(NEWEST)
        if programs is None:
            pytest.skip(f"no PostgreSQL {NEWEST} on this machine")
        server = Server(NEWEST, programs, wal_recycle="off", min_wal_size="32MB")
        servers.append(server)
        server.data = data
        server.create()
        server.start()
        parts.append(_database(server, tmp_path))
        return next(parts[0])

    yield make
    for each in parts:
        next(each, None)
    for each in servers:
        each.destroy()
