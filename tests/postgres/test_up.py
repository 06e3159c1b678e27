"""Applying migrations: what `up` leaves in the database and says in its result."""

import hashlib
import resource

import pytest

from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.api.report.plan import Direction


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


def test_the_row_holds_what_is_true(database):
    """Checksums are those of `sha256sum`, the time is measured, the run is named."""
    path = database.write("v1.0.0_slow.sql", "select pg_sleep(0.3);\r\ncreate table t ();\r\n")
    database.write("rollbacks/v1.0.0_rollback.sql", "drop table t;")
    database.run(
        "up",
        environment="staging",
        git_commit="4f2c",
        resource_uid="uid",
        resource_generation=3,
        applied_by="shop/exams",
    )
    data = path.read_bytes()
    (row,) = database.rows("""
        select checksum, text_checksum, execution_time_ms between 300 and 3000, applied_by,
            environment, git_commit_hash, resource_uid, resource_generation, filename,
            rollback_file, rollback_sql, length(plan_hash), error is null
        from schema_migrations
    """)
    assert row == (
        hashlib.sha256(data).hexdigest(),
        hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest(),
        True, "shop/exams", "staging", "4f2c", "uid", 3, "v1.0.0_slow.sql",
        "rollbacks/v1.0.0_rollback.sql", "drop table t;", 64, True,
    )  # fmt: skip


def test_a_second_run_has_nothing_to_do(database):
    """Nothing is applied twice, and no row is added."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.run("up")
    result = database.run("up")
    assert (result.outcome, result.applied, result.pending) == (Outcome.SUCCEEDED, (), 0)
    assert len(database.history()) == 1


def test_stops_at_the_target(database):
    """`up --target` leaves later files pending."""
    for number in range(1, 4):
        database.write(f"v1.{number}.0_t.sql", f"create table t{number} ();")
    result = database.run("up", "1.2.0")
    assert result.current_version == "1.2.0"
    assert not database.has("t3")


def test_tells_each_file_when_it_begins_and_when_it_is_committed(database):
    """The reader of events sees the committed row already in the database."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "create table b ();")
    seen = []

    def listen(event, data):
        if event is EventName.MIGRATION_COMPLETED:
            seen.append((data["number"], data["of"], len(database.history())))

    database.reporter.listeners.append(listen)
    database.run("up")
    assert seen == [(1, 2, 1), (2, 2, 2)]
    started = database.reporter.of(EventName.MIGRATION_STARTED)
    assert [each["file"] for each in started] == ["v1.0.0_a.sql", "v1.1.0_b.sql"]
    assert {each["direction"] for each in started} == {Direction.FORWARD.value}


def test_the_servers_notices_are_told_but_not_without_end(database):
    """A thousand notices become a hundred, and a word that there were more."""
    database.write(
        "v1.0.0_a.sql",
        "do $$ begin for i in 1..1000 loop raise notice 'number %', i; end loop; end $$;",
    )
    database.run("up")
    notices = database.reporter.of(EventName.NOTICE)
    assert len(notices) == 100
    assert notices[0] == {"severity": "NOTICE", "message": "number 1", "version": "1.0.0"}
    assert "more notices" in database.reporter.of(EventName.WARNING)[0]["message"]


@pytest.mark.parametrize(
    "sql",
    [
        pytest.param(
            "create table t (a text); insert into t values ('50%s %(x)s %%');", id="percent"
        ),
        pytest.param("create table t (a text); insert into t values ('$1 :x ?');", id="marks"),
        pytest.param(
            "create table t (a text);\ncopy t from stdin;\none\n\\N\n%s\\tx\n\\.\n"
            "insert into t values ('z');",
            id="copy",
        ),
        pytest.param("create table t (a text); copy t from stdin;\n\\.\n", id="copy-of-nothing"),
        pytest.param(
            "create function f() returns text begin atomic select 'a;b'; end; create table t ();",
            id="atomic",
        ),
        pytest.param("create table t (); select * from generate_series(1, 5000);", id="rows"),
        pytest.param(
            "create table t (a int); create rule r as on insert to t do also "
            "(select 1; select 2); insert into t values (1);",
            id="rule",
        ),
        pytest.param(
            "create table t (); prepare p as select 1; execute p; declare c cursor for select 1;",
            id="prepared",
        ),
    ],
)
def test_the_text_is_sent_as_it_stands(database, sql):
    """Nothing in a file is taken for a parameter, a placeholder or a second statement."""
    database.write("v1.0.0_a.sql", sql)
    result = database.run("up")
    assert result.failure is None
    assert database.has("t")


def test_copied_data_arrives_whole(database):
    """Data of several megabytes, with empty values and escapes."""
    rows = "".join(f"{number}\tvalue {number} \\\\ %s\t\\N\n" for number in range(60_000))
    database.write(
        "v1.0.0_a.sql",
        f"create table t (a int, b text, c text);\ncopy t from stdin;\n{rows}\\.\nselect 1;",
    )
    assert database.run("up").failure is None
    query = "select count(*), min(b), count(c) from t"
    assert database.rows(query) == [(60_000, "value 0 \\ %s", 0)]


def test_a_large_file_with_many_statements(database):
    """Five megabytes in ten thousand statements pass through the window of what is sent ahead."""
    padding = "x" * 500
    inserts = "".join(f"insert into t values ('{padding}');\n" for _ in range(10_000))
    database.write("v1.0.0_a.sql", f"create table t (a text);\n{inserts}")
    assert database.run("up").failure is None
    assert database.value("select count(*) from t") == 10_000


def test_many_rows_of_a_select_do_not_stay_in_memory(database):
    """A migration may select what it likes: the rows are dropped as they come."""
    database.write("v1.0.0_a.sql", "select repeat('x', 1000) from generate_series(1, 300000);")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert database.run("up").failure is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def test_app_environment_is_set_while_migrating(database):
    """Functions of the application may ask in which environment they run."""
    database.write(
        "v1.0.0_a.sql", "create table t as select current_setting('app.environment') as e;"
    )
    database.run("up", environment="staging")
    assert database.value("select e from t") == "staging"


def test_stops_between_two_files_when_asked(database):
    """What has begun is finished; the rest is pending; the result says why."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "create table b ();")
    result = database.run("up", stop_reason=database.is_begun)
    assert (result.outcome, result.exit_code) == (Outcome.STOPPED, 6)
    assert "begun" in result.message
    assert (result.current_version, result.pending_versions) == ("1.0.0", ("1.1.0",))
