"""Repeatable files: views, functions, grants, which run again whenever they have changed."""

import pytest
from messages import CutAtMessage

from dbmigrate.api.report.plan import Direction

VIEW = "create or replace view v as select 1 as one;"


@pytest.fixture
def source(database):
    """A table, and two repeatable files whose names are not in their order."""
    database.write("v1.0.0_t.sql", "create table t (a int); create table runs (f text);")
    database.write(
        "repeatable/a_view.sql",
        "-- dbmigrate: after=functions\n"
        "create or replace view v as select f() as a from t; insert into runs values ('view');",
    )
    database.write(
        "repeatable/functions.sql",
        "create or replace function f() returns int language sql return 1;\n"
        "insert into runs values ('functions');",
    )
    return database


def runs(database):
    """Which files have run, in order."""
    return [name for (name,) in database.rows("select f from runs")]


def test_they_run_behind_the_migrations_as_they_declare(source):
    """And are rows of the history, without a version."""
    result = source.run()
    assert result.failure is None
    assert runs(source) == ["functions", "view"]
    assert [(each.file, each.type) for each in result.applied[1:]] == [
        ("repeatable/functions.sql", Direction.REPEATABLE),
        ("repeatable/a_view.sql", Direction.REPEATABLE),
    ]
    assert source.history() == [
        ("1.0.0", "forward", "completed"),
        (None, "repeatable", "completed"),
        (None, "repeatable", "completed"),
    ]
    assert result.current_version == "1.0.0"


def test_they_run_again_only_when_they_have_changed(source):
    """Line ends are no change; those that come after one that runs, run too."""
    assert source.run("status").repeatables_due == (
        "repeatable/functions.sql", "repeatable/a_view.sql",
    )  # fmt: skip
    source.run()
    assert source.run("status").repeatables_due == ()
    assert source.run().message == "nothing to do"
    path = source.folder / "repeatable/functions.sql"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert source.run().message == "nothing to do"
    source.write("repeatable/a_view.sql", path.read_text().replace("'functions'", "'view 2'"))
    assert source.run().message == "1 repeatable file run"
    assert runs(source) == ["functions", "view", "view 2"]
    source.write(
        "repeatable/a_view.sql", "-- dbmigrate: after=functions\ninsert into runs values ('v');"
    )
    source.run()
    path.write_text("insert into runs values ('f');")
    source.run()
    assert runs(source)[3:] == ["v", "f", "v"]


def test_they_run_again_when_something_was_rolled_back(source):
    """Which may have taken their objects along."""
    source.write("v1.1.0_u.sql", "alter table t add b int;")
    source.write("rollbacks/v1.1.0_rollback.sql", "alter table t drop b; drop view v;")
    source.run()
    assert source.run("down", "1.0.0").failure is None
    assert runs(source) == ["functions", "view"]
    assert source.run().failure is None
    assert runs(source) == ["functions", "view"] * 2
    assert source.has("v")


def test_they_wait_for_the_last_migration(source):
    """They may need what is left out."""
    source.write("v1.1.0_u.sql", "create table u ();")
    source.run("up", "1.0.0")
    assert runs(source) == []
    source.run("up", "1.1.0")
    assert runs(source) == ["functions", "view"]


def test_a_failure_leaves_the_migrations_and_is_told(source):
    """With its file, and no version; the next run goes on with it."""
    source.write("repeatable/a_view.sql", "select 1;\nselect nothing;")
    result = source.run()
    assert (result.failure.version, result.failure.line) == ("", 2)
    assert result.failure.file.endswith("repeatable/a_view.sql")
    assert source.history()[-1] == (None, "repeatable", "failed")
    assert result.last_failure.file == "repeatable/a_view.sql"
    source.write("repeatable/a_view.sql", VIEW)
    assert source.run().message == "2 repeatable files run"


def test_an_approved_plan_covers_them(source):
    """A changed file is another plan, and a cut run goes on under the plan that it began."""
    plan = source.run("plan").plan
    assert [each.file for each in plan.repeatables] == [
        "repeatable/functions.sql", "repeatable/a_view.sql",
    ]  # fmt: skip
    view = (source.folder / "repeatable/a_view.sql").read_text()
    source.write("repeatable/a_view.sql", view + "\nselect 1;")
    assert source.run(expect_plan=plan.hash).failure.code == "PlanChanged"
    source.connection.execute("create table gate ()")
    source.write("repeatable/a_view.sql", view + "\nselect 1 / (select count(*) from gate);")
    plan = source.run("plan").plan
    assert source.run(expect_plan=plan.hash).failure.sqlstate == "22012"
    source.connection.execute("insert into gate default values")
    result = source.run(expect_plan=plan.hash)
    assert result.failure is None
    assert runs(source) == ["functions", "view"]


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("-- dbmigrate: after=nothing", "there is no such file"),
        ("-- dbmigrate: after=a_view", "wait for each other"),
    ],
)
def test_an_order_that_cannot_be_is_refused(source, header, problem):
    """Before anything runs."""
    source.write("repeatable/functions.sql", f"{header}\nselect 1;")
    failure = source.run().failure
    assert failure.code == "InvalidDirective"
    assert problem in failure.message
    assert not source.has("t")


@pytest.mark.one_version
@pytest.mark.parametrize("deliver", [False, True], ids=["unsent", "unanswered"])
def test_cut_at_each_message_each_is_run_once(source, deliver):
    """The connection breaks before or behind each message that the runner sends in turn."""
    params = {**source.server.params(source.name), "host": "127.0.0.1"}
    cuts = 0
    while True:
        proxy = CutAtMessage(source.server, cuts, deliver=deliver)
        try:
            source.run(settings={**params, "port": str(proxy.port)})
        finally:
            proxy.close()
        if not proxy.cut.is_set():
            break
        assert source.run().failure is None
        assert runs(source) == ["functions", "view"], cuts
        source.connection.execute("drop schema public cascade; create schema public")
        cuts += 1
    assert cuts > 12


def test_one_may_run_by_statement(source):
    """An index that is built concurrently, and taken up again."""
    source.write(
        "repeatable/z_index.sql", "create index concurrently if not exists i on t (a);\nvacuum x;"
    )
    result = source.run()
    assert result.failure.line == 2
    assert (result.unfinished.file, result.unfinished.statements_done) == (
        "repeatable/z_index.sql", 1,
    )  # fmt: skip
    source.write(
        "repeatable/z_index.sql", "create index concurrently if not exists i on t (a);\nvacuum t;"
    )
    assert source.run().failure is None
    assert source.run("status").unfinished is None
