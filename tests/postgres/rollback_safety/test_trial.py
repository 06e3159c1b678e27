"""A rollback is tried before it runs: what it does then does not depend on the trial."""

import signal

import pytest
from command_line import CommandLine
from tests.postgres.rollback_safety.kept import ALL, SETS, kept

from dbmigrate.api.report.events import EventName


def test_notices_are_told_once(shop):
    """Although the statements run twice."""
    result = shop.back("do $$ begin raise notice 'hello'; end $$; drop table t")
    assert result.failure is None
    told = [data["message"] for data in shop.reporter.of(EventName.NOTICE)]
    assert told.count("hello") == 1


def test_a_file_with_copy_data_is_tried_too(shop):
    """Its data are sent twice."""
    result = shop.back("delete from t where id = 1;\nCOPY t (id) FROM stdin;\n7\n8\n\\.\n")
    assert result.failure is None
    assert shop.rows("select id from t order by id") == [(2,), (3,), (7,), (8,)]
    assert kept(shop) == [ALL[0]]


def test_settings_of_the_trial_do_not_reach_the_run(shop):
    """Each run of the statements begins as a file does."""
    shop.connection.execute("create table path (search_path text, timezone text)")
    result = shop.back(
        "insert into path select current_setting('search_path'), current_setting('timezone');"
        "set timezone = 'Asia/Tokyo'; set search_path = ''; drop table public.t;"
    )
    assert result.failure is None
    zone = shop.value("show timezone")
    assert shop.rows("select * from path") == [('"$user", public', zone)]


def test_what_runs_outside_a_transaction_and_loses_nothing_is_run(shop):
    """The way back from an index that was built concurrently."""
    shop.connection.execute("create index i on t (name)")
    assert shop.back("drop index concurrently i").failure is None
    assert not shop.has("i")


def test_what_is_deleted_the_second_time_is_what_is_kept(shop):
    """Not what the trial deleted: a sequence goes on when it is undone."""
    shop.connection.execute("create sequence s")
    assert shop.back("delete from t where id = (select nextval('s'))").failure is None
    left = {row for (row,) in shop.rows("select id from t")}
    gone = {1, 2, 3} - left
    assert gone
    assert {int(row["id"]) for row in kept(shop)} == gone


def test_a_table_that_is_dropped_in_one_of_two_runs_is_kept(shop):
    """The second round keeps what the first has lost unforeseen."""
    shop.connection.execute("create sequence s; create table u as select 5 as id")
    result = shop.back(
        "do $$ begin if nextval('s') = 1 then drop table t; else drop table u; end if; end $$"
    )
    assert result.failure is None
    assert (shop.has("t"), shop.has("u")) == (True, False)
    assert kept(shop, "u") == [{"id": "5"}]


def test_several_rollbacks_in_one_transaction(shop):
    """What one of them makes, the next may lose; all is kept or nothing is done."""
    shop.write("rollbacks/v1.0.0_rollback.sql", "alter table t drop column name; drop table t;")
    shop.write("rollbacks/v1.1.0_rollback.sql", "insert into t values (4, 'new', 9);")
    result = shop.run("down", "0", transaction="all")
    assert (result.failure, shop.has("t")) == (None, False)
    assert kept(shop) == [*ALL, {"id": "4", "name": "new", "price": "9.00"}]


def test_deferred_constraints_and_triggers_of_the_application(shop):
    """They fire in the trial and in the run, and are counted once."""
    shop.connection.execute(
        "create table audit (what text); create function log() returns trigger language plpgsql "
        "as 'begin insert into audit values (old.name); return null; end';"
        "create constraint trigger later after delete on t deferrable initially deferred "
        "for each row execute function log()"
    )
    assert shop.back("delete from t where id = 1").failure is None
    assert shop.rows("select * from audit") == [("pen",)]
    assert kept(shop) == [ALL[0]]


@pytest.mark.one_version
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_killed_while_it_keeps_nothing_is_changed(shop, tmp_path, sign):
    """Neither kept nor lost; and the next run does it."""
    shop.connection.execute("insert into t select g, 'x', 1 from generate_series(10, 300000) g")
    shop.write("rollbacks/v1.1.0_rollback.sql", "drop table t")
    number = shop.value("select count(*) from t")
    line = CommandLine(shop, tmp_path)
    process = line.start("down", "1.0.0", "--source", shop.folder)
    shop.wait_until(
        "select exists (select from pg_stat_activity where query like 'do %%batch_rows%%' "
        "and state = 'active' and pid <> pg_backend_pid())"
    )
    process.send_signal(sign)
    process.wait(30)
    process.communicate()
    shop.wait_until("select not exists (select from pg_locks where locktype = 'advisory')")
    assert shop.rows(SETS) == []
    assert shop.value("select count(*) from t") == number
    assert line("down", "1.0.0", "--source", shop.folder).code == 0
    assert (shop.has("t"), shop.rows(SETS)[0][-1]) == (False, number)
