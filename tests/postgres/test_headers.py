"""A file's header: where it holds, and where it means nothing."""

import pytest


def test_a_verifications_header_holds_for_it(database):
    """Its settings, for itself."""
    database.write("v1.0.0_t.sql", "create table t (a int);")
    database.write(
        "verify/v1.0.0_t.sql",
        "-- dbmigrate: work_mem=7MB\n"
        "do $$ begin assert current_setting('work_mem') = '7MB'; end $$;",
    )
    result = database.run()
    assert result.failure is None, result.failure


@pytest.mark.parametrize("file", ["v1.1.0_u.sql", "verify/v1.0.0_u.sql"])
def test_after_is_refused_where_it_means_nothing(database, file):
    """Only repeatable files have an order to ask for."""
    database.write("v1.0.0_t.sql", "create table t (a int);")
    database.write(file, "-- dbmigrate: after=t\nselect 1;")
    result = database.run()
    assert result.failure is not None
    assert (result.failure.code, result.failure.line) == ("InvalidDirective", 1)
    assert not database.has("t")


def test_a_header_behind_pg_dumps_restrict_line_holds(database):
    """pg_dump writes that line first."""
    database.write(
        "v1.0.0_t.sql",
        "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\n-- dbmigrate: work_mem=7MB\n"
        "create table seen as select current_setting('work_mem') as w;\n\\unrestrict abc\n",
    )
    result = database.run()
    assert result.failure is None, result.failure
    assert database.value("select w from seen") == "7MB"


def test_a_header_allows_what_only_the_server_knows_to_need_no_transaction(database):
    """REINDEX and CLUSTER of a partitioned table."""
    database.write(
        "v1.0.0_t.sql",
        "create table p (a int) partition by list (a);\n"
        "create table c partition of p for values in (1);\ncreate index i on p (a);",
    )
    database.write(
        "v1.1.0_u.sql", "-- dbmigrate: transaction=statement\nreindex table p;\ncluster p using i;"
    )
    assert database.run().failure is None
