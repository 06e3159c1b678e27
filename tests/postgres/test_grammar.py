"""The server's grammar judges, and nothing but the grammar."""

import pytest

from dbmigrate.migrations.content import HeldContent
from dbmigrate.migrations.source import MigrationFile
from dbmigrate.migrations.statements import split
from dbmigrate.migrations.version import Version
from dbmigrate.postgres.executing.grammar import syntax_errors
from dbmigrate.postgres.server.connection import connect
from dbmigrate.postgres.server.interruption import Interruption
from dbmigrate.postgres.server.settings import SessionSettings


@pytest.fixture
def judge(database):
    """What the server says of a script: the place and the message of each error."""
    interruption = Interruption()
    session = connect(database.settings, SessionSettings("validate"), interruption)

    def _judge(script: str) -> list[tuple[int, int, str]]:
        file = MigrationFile(Version(1, 0, 0), "a", "a.sql", HeldContent(script.encode()))
        errors = syntax_errors(session, ((file, each) for each in split(script)))
        assert {error.error_code for error in errors} <= {"SyntaxError"}
        places = [(error.location.line, error.location.column) for error in errors]
        return [(*place, error.message) for place, error in zip(places, errors, strict=True)]

    yield _judge
    session.close()
    interruption.close()


@pytest.mark.parametrize(
    "statement",
    [
        "insert into nowhere values (1, 2, 3)",
        "values (1), (2, 3)",
        "alter table nowhere add x nosuchtype",
        "select $1",
        "begin",
        "end",
        "commit",
        "vacuum",
        "create database x",
        "create index concurrently i on nowhere (a)",
        "copy nowhere from stdin;\n1\n\\.\n",
        "do $$ this is no PL/pgSQL $$",
        "create rule r as on insert to t do also (insert into a values (1); delete from b)",
        "create function f() returns int begin atomic select case when true then 1 end; end",
        "create or replace procedure p() begin atomic insert into a values (1); end",
        "create function f() returns int return 1",
        "create schema s create table a (b int) create view v as select 1",
        "select 'end'; select 1 as end",
        "begin; select 1; end",
    ],
)
def test_what_the_grammar_accepts(judge, statement):
    """Whatever the schema is like, alone and among others."""
    assert judge(f"{statement}\n;") == []
    assert judge(f"select 1; {statement}; select 2;") == []


@pytest.mark.parametrize(
    ("statement", "column"),
    [
        ("selct 1", 1),
        ("select 1 from", 14),
        ("create tabel a ()", 8),
        ('select 1 as ""', 13),
        ("return 1", 1),
        ("endd", 1),
        ("insert into t values (1,)", 25),
        ("create function f() begin atomic selct 1; end", 34),
        ("select 'ä', 'ö' fromm t, 'x'", 23),
    ],
)
def test_what_it_does_not(judge, statement, column):
    """The place is the server's own; statements around it are right."""
    for before, after in (("", ""), ("select 1;\n", ";\nselect 2"), ("begin;\n", ";\nend")):
        ((line, at, _),) = judge(before + statement + after)
        assert (line, at) == (1 + before.count("\n"), column)


def test_each_of_many_errors_is_found(judge):
    """Behind a wrong statement the others are judged too; their order is the file's."""
    script = "select 1;\n" * 10 + "selct 1;\nselect 2;\nreturn 3;\n" * 20 + "select 4;"
    found = judge(script)
    expected = [11 + 3 * n + offset for n in range(20) for offset in (0, 2)]
    assert [line for line, _, _ in found] == expected


def test_so_many_errors_are_enough(judge):
    """What is no SQL at all ends soon."""
    assert 100 <= len(judge("selct 1;\n" * 3000)) < 110


def test_many_statements(judge):
    """However they are put together, the places are right."""
    script = "insert into t values (1, 'it''s');\n" * 5_000 + "select (1;);" + "select 1;\n" * 3_000
    ((line, column, message),) = judge(script)
    assert (line, column) == (5_001, 10)
    assert message.endswith('syntax error at or near ";"')


def test_what_is_not_implemented(judge):
    """The grammar knows it, and says no whatever the schema."""
    script = "select 1; select 2;\ncreate assertion a check (true);\nselect 3;"
    ((line, _, message),) = judge(script)
    assert line == 2
    assert "not yet implemented" in message


@pytest.mark.one_version
def test_the_server_logs_nothing_of_what_is_right(own_database):
    """A migration that is right leaves no error in the server's log."""
    log = own_database.server.folder / "log"
    before = log.read_text()
    own_database.write("v1.0.0_a.sql", "create table a (n int); insert into a values (1);")
    assert own_database.run("up").failure is None
    assert "ERROR" not in log.read_text().removeprefix(before)
