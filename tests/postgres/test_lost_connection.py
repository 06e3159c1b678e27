"""A connection that breaks at a statement of our own: transient, told as such, and run again."""

import pytest
from proxy import Proxy

from dbmigrate.api.report.outcome import Outcome

OF_A_FIRST_RUN = [
    b"set_config",
    b"pg_is_in_recovery",
    b"pg_try_advisory_lock(",
    b"begin atomic",
    b"create table schema_migrations",
    b"'bookkeeping'",
    b'"migration_locks" (',
    b"discard temp",
]


@pytest.fixture
def run_cut(database):
    """Runs a command through a proxy that cuts its connection once, before that word."""

    def _run(word, command="up", **options):
        proxy = Proxy(database.server, word)
        params = {**database.server.params(database.name), "host": "127.0.0.1"}
        result = database.run(command, settings={**params, "port": str(proxy.port)}, **options)
        proxy.close()
        assert proxy.cut.is_set()
        return result

    return _run


@pytest.mark.one_version
@pytest.mark.parametrize("word", OF_A_FIRST_RUN)
def test_each_moment_of_a_run_is_transient(database, run_cut, word):
    """Whoever retries must not take it for a fault of the files or the database."""
    database.write("v1.0.0_a.sql", "create table a ();")
    result = run_cut(word)
    assert result.outcome is Outcome.FAILED
    assert (result.failure.code, result.failure.transient) == ("ConnectionLost", True)
    assert database.run("up").failure is None
    assert database.history() == [("1.0.0", "forward", "completed")]


@pytest.mark.one_version
def test_while_a_cut_plan_is_compared(database, run_cut):
    """Not as a plan that was refused."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.run("up")
    assert run_cut(b"h.plan_hash", expect_plan="another").failure.code == "ConnectionLost"


@pytest.mark.one_version
@pytest.mark.parametrize("command", ["up", "status"])
def test_the_last_look_at_the_history_is_taken_again(database, run_cut, command):
    """A success knows the database's version."""
    database.write("v1.0.0_a.sql", "create table a ();")
    if command == "status":
        database.run("up")
    result = run_cut(b"as l order by id desc", command)
    assert (result.failure, result.database_known) == (None, True)
    assert result.current_version == "1.0.0"
