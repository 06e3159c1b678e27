"""Large files: in bounded memory, and only as they were hashed."""

import tempfile
from pathlib import Path

import pytest
from command_line import CommandLine
from servers import MEMORY

from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.outcome import Outcome

MB = 1_000_000
ROW = "%d\tsomebody's name; with a $$ and a /* in it\t" + "äöü and more; " * 60 + "\n"
INSERT = "INSERT INTO t (id, name) VALUES (%d, 'somebody''s; " + "äöü and more; " * 60 + "');\n"
ROWS = 2_000
"""Lines that are written at a time."""


@pytest.fixture
def large_folder():
    """A folder for large files, in memory where that is possible."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        (Path(folder) / "migrations").mkdir()
        yield Path(folder)


def _fill(file, line: str, size: int) -> int:
    """Write numbered lines up to a size; their number."""
    begin, number = file.tell(), 0
    while file.tell() < begin + size:
        file.write("".join(line % n for n in range(number, number + ROWS)).encode())
        number += ROWS
    return number


@pytest.mark.one_version
def test_a_large_copy(database, large_folder):
    """A dump of 200 MB is applied within 100 MB, and every row arrives."""
    with (large_folder / "migrations/v1.0.0_dump.sql").open("wb") as file:
        file.write(b"create unlogged table t (id int, name text, note text);\nCOPY t FROM stdin;\n")
        rows = _fill(file, ROW, 200 * MB)
        file.write(b"\\.\nalter table t add primary key (id);\n")
    assert CommandLine(database, large_folder).peak("up") < 100 * MB
    assert database.rows("select count(*), max(id) from t") == [(rows, rows - 1)]
    assert database.value("select note from t where id = 77").startswith("äöü and more; äöü")


@pytest.mark.one_version
def test_a_large_file_of_inserts(database, large_folder):
    """50 MB of statements are applied within 60 MB."""
    with (large_folder / "migrations/v1.0.0_dump.sql").open("wb") as file:
        file.write(b"create unlogged table t (id int primary key, name text);\n")
        rows = _fill(file, INSERT, 50 * MB)
    assert CommandLine(database, large_folder).peak("up") < 60 * MB
    assert database.rows("select count(*), max(id) from t") == [(rows, rows - 1)]


@pytest.fixture
def large(database):
    """A file of several blocks: a table, COPY data, INSERTs, and a last statement."""

    def _write(last="select 1;\n", file="v1.0.0_large.sql") -> Path:
        path = database.folder / file
        with path.open("wb") as out:
            out.write(b"create table t (id int, name text, note text);\nCOPY t FROM stdin;\n")
            _fill(out, ROW, 4 * MB)
            out.write(b"\\.\n")
            _fill(out, INSERT, 4 * MB)
            out.write(last.encode())
        return path

    return _write


def test_both_ways_in_one_file(database, large):
    """COPY data and statements, each read block by block, arrive whole; the checksum is theirs."""
    path = large()
    text = path.read_text()
    result = database.run("up")
    assert result.failure is None
    rows = text.count("\n") - 4
    assert database.value("select count(*) from t") == rows
    assert database.value("select count(distinct note) from t") == 1
    assert database.run("validate").failure is None


def test_an_error_far_behind_has_its_place(database, large):
    """Line, column and statement number count from the beginning of the file."""
    text = large(last="select\n  1 / (id - id) from t;").read_text()
    failure = database.run("up").failure
    lines = text.count("\n")
    assert (failure.sqlstate, failure.line) == ("22012", lines)
    assert failure.statement == 3 + text.count("INSERT")
    assert not database.has("t")


def test_a_syntax_error_far_behind(database, large):
    """It is found before anything runs, and shown with its line."""
    text = large(last="select 1;\nselct 2;").read_text()
    failure = database.run("up").failure
    assert (failure.code, failure.line, failure.column) == ("SyntaxError", text.count("\n") + 1, 1)
    assert "selct 2" in failure.excerpt
    assert not failure.touched


@pytest.mark.parametrize("share", [0.2, 0.8], ids=["in the data", "in the statements"])
def test_a_file_that_changes_while_it_runs(database, large, share):
    """What was hashed is what is sent: a changed block ends the run, and the file is undone."""
    path = large()

    def change(event, _):
        if event is EventName.MIGRATION_STARTED:
            at = path.read_bytes().index(b"somebody", int(path.stat().st_size * share))
            with path.open("r+b") as file:
                file.seek(at)
                file.write(b"S")

    database.reporter.listeners.append(change)
    result = database.run("up")
    assert (result.outcome, result.failure.code) == (Outcome.BLOCKED, "SourceChanged")
    assert path.name in result.failure.message
    assert not database.has("t")
    assert database.value("select count(*) from schema_migrations where status = 'completed'") == 0
    database.reporter.listeners.clear()
    assert database.run("up").failure is None


def test_a_file_that_is_replaced_while_it_runs(database, large):
    """Git and Kubernetes put another file under the name: the one that was hashed is applied."""
    path = large()

    def replace(event, _):
        if event is EventName.MIGRATION_STARTED:
            other = path.with_suffix(".new")
            other.write_text("create table other ();")
            other.rename(path)

    database.reporter.listeners.append(replace)
    result = database.run("up")
    assert result.failure is None
    assert database.has("t")
    assert not database.has("other")
    database.reporter.listeners.clear()
    assert database.run("up").failure.code == "ChecksumMismatch"
