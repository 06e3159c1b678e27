"""A file by statement that is tried again, and one that has a lock timeout of its own."""

import pytest

from dbmigrate.api.report.events import EventName

pytestmark = pytest.mark.one_version

SAY = "do $$ begin raise notice 'said {}'; end $$;\n"


@pytest.fixture
def busy(database):
    """Somebody holds the lock of a table; `database.blocker` is their connection."""
    database.connection.execute("create table busy (a int)")
    with database.another() as blocker:
        blocker.execute("begin; lock table busy")
        database.blocker = blocker
        yield database


def release(database):
    """Let go when the run waits for the first time."""

    def end(event, data):
        if event is EventName.WAITING and "tried again" in data["message"]:
            database.blocker.rollback()

    database.reporter.listeners.append(end)


@pytest.mark.parametrize("mode", ["statement", "own"])
def test_notices_of_what_is_committed_stay_with_the_run(busy, mode):
    """Those of what was undone and tried again are there once."""
    release(busy)
    both = SAY.format("again") + "alter table busy add b int;\n"
    busy.write(
        "v1.0.0_t.sql",
        f"-- dbmigrate: transaction={mode}\n"
        + (SAY.format("once") if mode == "statement" else f"begin;\n{SAY.format('once')}commit;\n")
        + (both if mode == "statement" else f"begin;\n{both}commit;\n"),
    )
    assert busy.run(lock_timeout=0.1).failure is None
    assert [data["message"] for data in busy.reporter.of(EventName.NOTICE)].count("said once") == 1
    notices = busy.value("select notices from schema_migrations where status = 'completed'")
    assert [each["message"] for each in notices] == {
        "statement": ["said once", "said again"],
        "own": ["said once", "said again"],
    }[mode]


def test_a_files_own_lock_timeout_is_what_others_are_spared_by(busy):
    """Pauses, who is looked at, and the advice go by it, not by the run's."""
    release(busy)
    busy.write("v1.0.0_t.sql", "-- dbmigrate: lock_timeout=400ms\nalter table busy add b int;")
    assert busy.run(lock_timeout=30.0).failure is None
    (told,) = busy.reporter.of(EventName.WAITING)[-1:]
    assert float(told["message"].split("tried again in ")[1].split()[0]) < 1.0
    assert [each.pid for each in told["holders"]] == [busy.blocker.info.backend_pid]


def test_the_advice_names_the_files_own_lock_timeout(busy):
    """--lock-timeout would not help."""
    busy.write("v1.0.0_t.sql", "-- dbmigrate: lock_timeout=200ms\nalter table busy add b int;")
    failure = busy.run(lock_timeout=30.0, lock_retries=0).failure
    assert failure.sqlstate == "55P03"
    assert "in the file's header, where it is 200ms" in failure.hint
    assert "--lock-timeout" not in failure.hint
    assert "process" in failure.message


def test_a_file_that_waits_without_end_is_looked_at(busy):
    """With lock_timeout=0 in its header, it tells who is in the way, and gets the lock."""

    def end(event, _):
        if event is EventName.WAITING:
            busy.blocker.rollback()

    busy.reporter.listeners.append(end)
    busy.write("v1.0.0_t.sql", "-- dbmigrate: lock_timeout=0\nalter table busy add b int;")
    assert busy.run(lock_timeout=0.1, lock_retries=0).failure is None
