"""Why there is no connection: a code of its own for each cause, what to do, and no password."""

import contextlib
import socket
import threading

import pytest

from conftest import until
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.errors import RefusedError
from dbmigrate.postgres.server.connection import require_supported
from dbmigrate.postgres.server.settings import ConnectionSettings

SECRET = "s3cr3t-Pässwort"


@pytest.fixture
def attempt(database):
    """Runs `up` with the right connection but for what is given; returns the failure."""

    def _attempt(command="up", **changed):
        params = {
            **database.server.params(database.name),
            "host": "127.0.0.1",
            "password": SECRET,
            **changed,
        }
        result = database.run(command, settings=params, connect_timeout=2.0)
        assert (result.outcome, result.exit_code) == (Outcome.FAILED, 5)
        assert result.failure.transient
        assert not result.failure.touched
        assert not result.database_known
        assert SECRET not in repr(result)
        assert result.failure.hint
        return result.failure

    return _attempt


@pytest.mark.one_version
@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"host": "no-such-host.invalid"}, "HostNotFound"),
        ({"port": "1"}, "ConnectionRefused"),
        ({"host": "/nowhere"}, "ConnectionRefused"),
        ({"dbname": "nothing_here"}, "DatabaseDoesNotExist"),
        ({"user": "nobody_known"}, "AuthenticationFailed"),
        ({"sslmode": "require"}, "TlsNotOffered"),
    ],
)
def test_each_cause_has_its_code(attempt, changed, code):
    """Machines tell them apart, and people are told what to do."""
    assert attempt(**changed).code == code


def test_a_wrong_password(database, attempt):
    """It is told as what it is, and not repeated."""
    hba = database.server.data / "pg_hba.conf"
    before = hba.read_text()
    role = f"{database.name}_role"
    database.connection.execute(f"create role {role} login password 'right'")
    hba.write_text(f"host all {role} 127.0.0.1/32 scram-sha-256\n{before}")
    database.connection.execute("select pg_reload_conf()")
    try:
        database.wait_until(
            "select count(*) > 0 from pg_hba_file_rules where auth_method = 'scram-sha-256'"
        )
        assert attempt(user=role).code == "AuthenticationFailed"
    finally:
        hba.write_text(before)
        database.connection.execute("select pg_reload_conf()")
        database.connection.execute(f"drop role {role}")


def test_no_rule_for_the_connection(database, attempt):
    """pg_hba.conf allows nobody of that name."""
    hba = database.server.data / "pg_hba.conf"
    before = hba.read_text()
    role = f"{database.name}_role"
    database.connection.execute(f"create role {role} login")
    hba.write_text(
        f"hostssl all {role} 127.0.0.1/32 trust\nhost all postgres all trust\nlocal all all trust\n"
    )
    database.connection.execute("select pg_reload_conf()")
    try:
        database.wait_until("select count(*) = 3 from pg_hba_file_rules where type <> 'x'")
        assert attempt(user=role).code == "TlsRequired"
    finally:
        hba.write_text(before)
        database.connection.execute("select pg_reload_conf()")
        database.connection.execute(f"drop role {role}")


def test_a_role_at_its_limit(database, attempt):
    """Too many connections: wait, or raise the limit."""
    role = f"{database.name}_role"
    database.connection.execute(f"create role {role} login connection limit 0")
    try:
        assert attempt(user=role).code == "TooManyConnections"
    finally:
        database.connection.execute(f"drop role {role}")


@pytest.mark.one_version
def test_a_server_that_does_not_answer(attempt):
    """The attempt ends after its time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        failure = attempt(port=str(silent.getsockname()[1]))
    assert failure.code == "ConnectTimeout"


def test_a_standby_is_never_migrated(own_database):
    """But it may be asked."""
    database = own_database
    database.write("v1.0.0_a.sql", "create table a ();")
    assert database.run("up").failure is None
    standby = database.server.standby()
    try:
        standby.start()
        params = standby.params(database.name)
        result = database.run("up", settings=params)
        assert (result.failure.code, result.exit_code) == ("StandbyServer", 5)
        assert database.run("status", settings=params).current_version == "1.0.0"
    finally:
        standby.destroy()


def test_a_server_that_is_starting(own_database):
    """A standby that waits for its primary's log accepts nobody yet."""
    database = own_database
    standby = database.server.standby()
    (standby.data / "recovery.signal").touch()
    (standby.data / "standby.signal").unlink()
    with (standby.data / "postgresql.auto.conf").open("a") as settings:
        settings.write("restore_command = 'sleep 60; false'\n")
    starting = threading.Thread(target=_start_quietly, args=(standby,))
    starting.start()
    until(lambda: standby._process)
    try:
        codes = set()
        while "ServerStarting" not in codes:
            codes.add(database.run("up", settings=standby.params("postgres")).failure.code)
            assert codes <= {"ServerStarting", "ConnectionRefused"}
    finally:
        standby.stopping = True
        standby._process.kill()
        starting.join()
        standby.destroy()


def _start_quietly(server):
    with contextlib.suppress(RuntimeError):  # it is ended while it is starting
        server.start()


@pytest.mark.parametrize("version", [130999, 90624])
def test_an_old_server_is_refused(version):
    """With both versions in its message."""
    with pytest.raises(RefusedError, match=r"14 is the oldest") as raised:
        require_supported(version)
    assert raised.value.error_code == "ServerTooOld"


def test_the_settings_do_not_show_the_password():
    """Not in a repr, which may end up in a log."""
    settings = ConnectionSettings({"host": "h", "dbname": "d", "password": SECRET}, "the test")
    assert SECRET not in repr(settings)
    assert settings.place == "d at h"
