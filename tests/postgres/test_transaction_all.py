"""All pending files as one transaction: everything or nothing."""

import pytest
from messages import CutAtMessage

from dbmigrate.api.report.events import EventName


@pytest.fixture
def three(database):
    """Three files, the last of which needs the first."""
    database.write("v1.0.0_a.sql", "create table a (x int);")
    database.write(
        "v1.1.0_b.sql", "set search_path = nowhere; set role none; create temp table b ();"
    )
    database.write(
        "v1.2.0_c.sql", "insert into a values (1);\ncopy a from stdin;\n2\n\\.\nselect 1;"
    )
    return database


def test_all_files_are_one_transaction(three):
    """Each starts from a clean session, has its own row, and one transaction wrote them all."""
    result = three.run(transaction="all")
    assert result.failure is None
    assert [each.version for each in result.applied] == ["1.0.0", "1.1.0", "1.2.0"]
    assert three.rows("select x from a order by x") == [(1,), (2,)]
    assert three.rows(
        "select count(*), count(distinct xmin::text), min(transaction_mode) from schema_migrations"
    ) == [(3, 1, "all")]


def test_a_failure_leaves_nothing_of_any_file(three):
    """And its row tells which file it was."""
    three.write("v1.3.0_d.sql", "create table d ();\nselect 1 / 0;")
    result = three.run(transaction="all")
    assert (result.failure.version, result.failure.line) == ("1.3.0", 2)
    assert (result.applied, result.current_version) == ((), None)
    assert not three.has("a")
    assert three.history() == [("1.3.0", "forward", "failed")]


@pytest.mark.one_version
@pytest.mark.parametrize("deliver", [False, True], ids=["unsent", "unanswered"])
def test_cut_at_each_message_all_is_applied_once(three, deliver):
    """The connection breaks before or behind each message that the runner sends in turn."""
    params = {**three.server.params(three.name), "host": "127.0.0.1"}
    cuts = 0
    while True:
        proxy = CutAtMessage(three.server, cuts, deliver=deliver)
        try:
            three.run(settings={**params, "port": str(proxy.port)}, transaction="all")
        finally:
            proxy.close()
        if not proxy.cut.is_set():
            break
        applied = [row for row in three.rows("select to_regclass('schema_migrations')") if row[0]]
        count = len(three.history()) if applied else 0
        assert count in (0, 3), cuts
        assert three.has("a") is (count == 3)
        assert three.run(transaction="all").failure is None
        assert three.rows("select x from a order by x") == [(1,), (2,)]
        assert len(three.history()) == 3
        three.connection.execute("drop schema public cascade; create schema public")
        cuts += 1
    assert cuts > 12


@pytest.mark.parametrize(
    "sql", ["create index concurrently i on a (x);", "-- dbmigrate: transaction=own\nselect 1;"]
)
def test_a_file_that_cannot_be_part_of_it_is_refused_before_anything_runs(three, sql):
    """With what to do instead."""
    three.write("v1.3.0_d.sql", sql)
    failure = three.run(transaction="all").failure
    assert failure.code == "NotInTransaction"
    assert "v1.3.0_d.sql" in failure.message
    assert not three.has("a")


def test_a_lock_that_is_not_to_be_had_is_tried_again_as_a_whole(three):
    """Nothing is held while it waits."""
    three.run("up", "1.0.0")
    other = three.another()
    other.execute("begin; lock table a")
    held = []

    def end(event, data):
        if event is EventName.WAITING and data["reason"] == "TableLock":
            held.append(three.history())
            other.execute("commit")

    three.reporter.listeners.append(end)
    result = three.run(transaction="all", lock_timeout=0.2, lock_retries=100)
    other.close()
    assert result.failure is None
    assert held[0] == [("1.0.0", "forward", "completed")]
    assert three.rows("select x from a order by x") == [(1,), (2,)]


def test_rollbacks_too(three):
    """All the way back, or nothing."""
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        three.write(f"rollbacks/v{version}_rollback.sql", "select 1;")
    three.write("rollbacks/v1.0.0_rollback.sql", "drop table a;")
    three.run()
    three.write("rollbacks/v1.1.0_rollback.sql", "select 1 / 0;")
    assert three.run("down", "0", transaction="all").failure.version == "1.1.0"
    assert three.run("status").current_version == "1.2.0"
    three.write("rollbacks/v1.1.0_rollback.sql", "select 1;")
    assert three.run("down", "0", transaction="all").failure is None
    assert not three.has("a")
    assert three.run("status").current_version is None
