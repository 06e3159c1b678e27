"""What the tools are given to run: the SQL of the files, the same for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

MB = 1_000_000
_NOTE = "the quick brown fox jumps over the lazy dog and then goes home to sleep for a while"
_ROWS_OF_AN_INSERT = 100


def three_statements(number: int) -> str:
    """A table, an index and a comment: the three DDL statements of an ordinary migration."""
    return (
        f"CREATE TABLE t{number} (id bigint PRIMARY KEY, note text NOT NULL);\n"
        f"CREATE INDEX t{number}_note_idx ON t{number} (note);\n"
        f"COMMENT ON TABLE t{number} IS 'number {number}';\n"
    )


def nothing(number: int) -> str:
    """A statement without effect: only the history grows."""
    return f"SELECT {number};\n"


def inserts(size: int) -> str:
    """A table and so many bytes of INSERTs, 100 rows each."""
    return _until(size, _insert)


def copy(size: int) -> str:
    """A table and so many bytes of a dump's ``COPY … FROM stdin``."""
    rows = _until(size, lambda number: f"{number}\t{_NOTE} {number}\n")
    head, _, data = rows.partition("\n")
    return f"{head}\nCOPY t1 (id, note) FROM stdin;\n{data}\\.\n"


def _insert(number: int) -> str:
    first = number * _ROWS_OF_AN_INSERT
    numbers = range(first, first + _ROWS_OF_AN_INSERT)
    rows = ",\n".join(f"({each}, '{_NOTE} {each}')" for each in numbers)
    return f"INSERT INTO t1 (id, note) VALUES\n{rows};\n"


def _until(size: int, make: Callable[[int], str]) -> str:
    def parts() -> Iterator[str]:
        yield "CREATE TABLE t1 (id bigint, note text NOT NULL);\n"
        written = number = 0
        while written < size:
            part = make(number)
            written += len(part)
            number += 1
            yield part

    return "".join(parts())
