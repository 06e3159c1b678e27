"""A rollback that would lose what cannot be kept is refused, and nothing is done."""

from command_line import CommandLine
from tests.postgres.rollback_safety.kept import SETS

from dbmigrate.api.report.events import EventName
from dbmigrate.postgres.rollback.options import KeepOptions


def test_above_the_limit_nothing_is_done(shop):
    """It is said what would be lost, with rows and bytes, and what to do."""
    shop.connection.execute("insert into t select g, 'x', g from generate_series(10, 5000) g")
    result = shop.back("drop table t", keep=KeepOptions(limit=1000))
    assert (result.failure.code, result.exit_code) == ("RollbackTooLarge", 3)
    assert "table public.t: 4,994 rows" in result.failure.message
    assert "--backup-covers" in result.failure.hint
    assert shop.value("select count(*) from t") == 4994
    assert (result.current_version, shop.rows(SETS)) == ("1.1.0", [])


def test_a_refused_rollback_is_no_failed_attempt(shop):
    """The trial is undone, so neither the history nor the status knows of a failure."""
    before = shop.value("select count(*) from schema_migrations")
    result = shop.back("drop table t", keep=KeepOptions(limit=1))
    assert (result.outcome.value, result.failure.touched) == ("Blocked", False)
    assert shop.value("select count(*) from schema_migrations") == before
    assert shop.run("status").last_failure is None


def test_a_refusal_behind_a_rollback_that_ran_has_touched_the_database(shop):
    """Only its own trial is undone."""
    shop.write("v1.2.0_y.sql", "create table more ();")
    shop.write("rollbacks/v1.2.0_rollback.sql", "drop table more;")
    assert shop.run("up").failure is None
    result = shop.back("drop table t", keep=KeepOptions(limit=1))
    assert (result.current_version, result.failure.code) == ("1.1.0", "RollbackTooLarge")
    assert (result.outcome.value, result.failure.touched) == ("Blocked", True)


def test_above_the_limit_a_backup_covers_it(shop):
    """It is lost without being kept, and the log says which backup has it."""
    options = KeepOptions(limit=10, backup="base-2026-07-01")
    result = shop.back("drop table t", keep=options)
    assert result.failure is None
    assert not shop.has("t")
    query = "select row_count, covered_by, data_snapshot from rollback_data_log"
    assert shop.rows(query) == [(3, "base-2026-07-01", None)]
    assert [each.covered_by for each in result.kept] == ["base-2026-07-01"]


def test_it_can_be_switched_off(shop):
    """Then nothing is tried and nothing kept."""
    result = shop.back("drop table t; create sequence s", keep=KeepOptions(enabled=False))
    assert (result.failure, shop.rows(SETS), shop.has("t")) == (None, [], False)


def test_large_objects_are_refused(shop):
    """They are not in a table that could be kept."""
    shop.connection.execute("select lo_create(4711)")
    result = shop.back("select lo_unlink(4711)")
    assert result.failure.code == "RollbackTooLarge"
    assert "large objects" in result.failure.message
    assert shop.value("select count(*) from pg_largeobject_metadata") == 1


def test_a_server_that_does_not_count_is_refused(shop):
    """Deleted rows could not be seen."""
    shop.connection.execute(f"alter database {shop.name} set track_counts = off")
    result = shop.back("delete from t")
    assert result.failure.code == "RollbackUnseen"
    assert shop.value("select count(*) from t") == 3


def test_a_table_that_policies_hide_from_us_is_refused(shop):
    """Half of its rows are not all of them."""
    role = f"owner_{shop.name}"
    shop.connection.execute(
        f"create role {role} login; grant create, usage on schema public to {role};"
        f"grant all on all tables in schema public to {role};"
        f"grant all on all sequences in schema public to {role};"
        f"alter table t owner to {role}; alter table t enable row level security;"
        "alter table t force row level security; create policy p on t using (id = 1)"
    )
    params = shop.server.params(shop.name, user=role)
    result = shop.back("drop table t", settings=params)
    shop.connection.execute(f"reassign owned by {role} to postgres; drop owned by {role}")
    shop.connection.execute(f"drop role {role}")
    assert result.failure.code == "KeepFailed"
    assert "row-level security" in result.failure.message
    assert shop.has("t")


def test_on_the_command_line(shop, tmp_path):
    """The limit and the backup are options; what was kept is told, in JSON too."""
    line = CommandLine(shop, tmp_path)
    shop.write("rollbacks/v1.1.0_rollback.sql", "drop table t")
    arguments = ("down", "1.0.0", "--source", shop.folder, "--keep-limit", "1kB")
    refused = line(*arguments)
    assert (refused.code, "RollbackTooLarge" in refused.err, shop.has("t")) == (3, True, True)
    assert line(*arguments, "--backup-covers", " ").code == 2
    ended = line(*arguments[:-1], "1 GB", "--output", "json")
    assert (ended.code, shop.has("t")) == (0, False)
    (told,) = [event["kept"] for event in ended.events if event["event"] == "dataKept"]
    assert (told["kind"], told["table"], told["rows"]) == ("table", "t", 3)
    assert ended.result.kept[0].set_id == told["setId"]


def test_what_cannot_be_tried_is_refused(shop):
    """Unless a backup is named: then it is said that nothing is kept."""
    shop.connection.execute("create index i on t (name)")
    sql = "drop index concurrently i;\ndrop table t"
    result = shop.back(sql)
    assert (result.failure.code, result.failure.line, shop.has("i")) == ("RollbackUntried", 2, True)
    result = shop.back(sql, keep=KeepOptions(backup="b7"))
    assert (result.failure, shop.has("t")) == (None, False)
    (warning,) = shop.reporter.of(EventName.WARNING)
    assert "b7" in warning["message"]


def test_a_rollback_that_drops_another_table_each_time_is_refused(shop):
    """What it loses could not be kept before it is lost."""
    shop.connection.execute(
        "create sequence s; do $$ begin for n in 1..9 loop "
        "execute format('create table n%s as select 1 as a', n); end loop; end $$"
    )
    result = shop.back("do $$ begin execute 'drop table n' || nextval('s'); end $$")
    assert (result.failure.code, result.exit_code) == ("RollbackUnsteady", 3)
    assert all(shop.has(f"n{number}") for number in range(1, 10))
    assert shop.rows(SETS) == []
