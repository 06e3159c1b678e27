"""How far a long statement is, as the server tells it, and for how long it has been running."""

import threading

import pytest

from dbmigrate.api.report.events import EventName

pytestmark = pytest.mark.timeout(120)

SLOW = """
    create function slow(n int) returns int immutable language plpgsql as $$
    begin
        if n % 100 = 0 then
            perform pg_sleep(0.1);
        end if;
        return n;
    end $$;
    create table big as select n, repeat('x', 500) as filler from generate_series(1, 3000) as n;
"""
"""A table of about 200 pages, of which a function takes three seconds."""


@pytest.fixture
def big(database):
    """A table that takes seconds to go through."""
    database.connection.execute(SLOW)
    return database


def told(database, number=1):
    """What was told of a statement."""
    return [each for each in database.reporter.of(EventName.STATEMENT) if each["number"] == number]


def test_an_index_is_told_with_its_phase_and_per_cent(big):
    """The phases are the server's own; the per cent are of the phase."""
    big.write("v1.0.0_a.sql", "create index on big (slow(n));")
    assert big.run("up").failure is None
    scanning = [each for each in told(big) if each.get("phase") == "building index: scanning table"]
    assert scanning
    assert all(0 <= each["percent"] <= 100 for each in scanning)
    assert any(0 < each["percent"] < 100 for each in scanning)
    assert all(each["seconds"] >= 0.9 for each in scanning)


@pytest.mark.one_version
def test_progress_grows(big):
    """Two looks at the same phase: the later one is not behind."""
    big.write("v1.0.0_a.sql", "create index on big (slow(n), (slow(n) + 1));")
    assert big.run("up").failure is None
    seen = [
        each["percent"]
        for each in told(big)
        if each.get("phase") == "building index: scanning table"
    ]
    assert len(seen) >= 2
    assert seen == sorted(seen)
    assert seen[0] < seen[-1]


@pytest.mark.one_version
@pytest.mark.parametrize(
    "statement",
    [
        "alter table big alter column n type bigint using slow(n)",
        "update big set n = slow(n)",
        "select pg_sleep(2)",
    ],
    ids=["rewrite", "update", "select"],
)
def test_what_the_server_does_not_count_has_its_time_and_no_per_cent(big, statement):
    """None is made up."""
    big.write("v1.0.0_a.sql", f"{statement};")
    assert big.run("up").failure is None
    events = told(big)
    assert events
    assert all("percent" not in each and "phase" not in each for each in events)
    assert all(each["seconds"] >= 0.9 for each in events)


@pytest.mark.one_version
def test_a_cluster_is_told(big):
    """Its rebuilding of the slow index has a phase, and no per cent."""
    big.connection.execute("create index by_n on big (n); create index on big (slow(n))")
    big.write("v1.0.0_a.sql", "cluster big using by_n;")
    assert big.run("up").failure is None
    phases = {(each.get("phase"), "percent" in each) for each in told(big)}
    assert ("rebuilding index", False) in phases


@pytest.mark.one_version
def test_an_analyze_is_told(big):
    """An expression's statistics call the function for each row of the sample."""
    big.connection.execute("create index on big (slow(n))")
    big.write("v1.0.0_a.sql", "analyze big;")
    assert big.run("up").failure is None
    assert {"computing statistics"} <= {each.get("phase") for each in told(big)}


def test_a_copy_from_the_servers_file_is_told_in_per_cent(big):
    """The server knows how long its file is."""
    path = big.server.folder / "rows.csv"
    path.write_text("".join(f"{n}\n" for n in range(3000)))
    path.chmod(0o644)
    big.connection.execute("create table filled (n int, check (slow(n) >= 0))")
    big.write("v1.0.0_a.sql", f"copy filled from '{path}' with (format csv);")
    assert big.run("up").failure is None
    copying = [each for each in told(big) if each.get("phase") == "copying"]
    assert copying
    assert all(0 <= each["percent"] <= 100 for each in copying)


@pytest.mark.one_version
def test_copy_data_of_a_file_is_told_while_it_runs(big):
    """The run's own thread sends it; the observer looks on."""
    rows = "".join(f"{n}\n" for n in range(3000))
    big.connection.execute("create table filled (n int, check (slow(n) >= 0))")
    big.write("v1.0.0_a.sql", f"copy filled (n) from stdin;\n{rows}\\.\n")
    assert big.run("up").failure is None
    assert "copying" in {each.get("phase") for each in told(big)}


@pytest.mark.one_version
def test_a_copy_that_waits_for_a_lock_tells_for_whom(big):
    """It is no different from any other statement."""
    other = big.another()
    other.execute("begin; lock table big in share mode")
    waiting = []

    def let_go(event, data):
        if event is EventName.WAITING:
            waiting.extend(data["holders"])
            other.rollback()

    big.reporter.listeners.append(let_go)
    big.write("v1.0.0_a.sql", "copy big (n) from stdin;\n1\n\\.\n")
    pid = other.info.backend_pid
    assert big.run("up", lock_timeout=20.0).failure is None
    other.close()
    assert [each.pid for each in waiting] == [pid]


@pytest.mark.one_version
def test_a_quick_run_needs_one_connection(database):
    """The second one is made only when something takes long."""
    database.write("v1.0.0_a.sql", "create table a ();")
    seen = []

    def count(event, _):
        if event is EventName.MIGRATION_COMPLETED:
            seen.append(
                database.value(
                    "select count(*) from pg_stat_activity where datname = current_database()"
                    " and application_name like 'dbmigrate%'"
                )
            )

    database.reporter.listeners.append(count)
    assert database.run("up").failure is None
    assert seen == [1]


@pytest.mark.one_version
def test_no_observer_is_left_behind(big):
    """Neither its thread nor its connection outlives the run."""
    big.write("v1.0.0_a.sql", "select pg_sleep(1.6);")
    assert big.run("up").failure is None
    assert told(big)
    assert [each.name for each in threading.enumerate() if each.name == "observer"] == []
    big.wait_until(
        "select not exists (select from pg_stat_activity where application_name = 'dbmigrate/watch'"
        " and datname = current_database())"
    )
