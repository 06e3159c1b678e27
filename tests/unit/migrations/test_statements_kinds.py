"""Which statements break the promise that a file is one transaction."""

from __future__ import annotations

import pytest

from dbmigrate.migrations.statements import (
    StatementKind,
    classify,
    kind_of,
    sends_to_client,
    split,
)

CONTROL = [
    ("begin", "BEGIN"),
    ("BEGIN ISOLATION LEVEL SERIALIZABLE", "BEGIN"),
    ("begin /* not a body */ transaction", "BEGIN"),
    ("start -- x\n transaction read only", "START TRANSACTION"),
    ("commit", "COMMIT"),
    ("COMMIT AND CHAIN", "COMMIT"),
    ("commit prepared 'x'", "COMMIT PREPARED"),
    ("end", "END"),
    ("End Work", "END"),
    ("rollback", "ROLLBACK"),
    ("rollback to savepoint a", "ROLLBACK"),
    ("rollback prepared 'x'", "ROLLBACK PREPARED"),
    ("abort", "ABORT"),
    ("savepoint a", "SAVEPOINT"),
    ("release a", "RELEASE"),
    ("prepare transaction 'x'", "PREPARE TRANSACTION"),
    ("prepare transaction $$x$$", "PREPARE TRANSACTION"),
    ("prepare transaction E'x'", "PREPARE TRANSACTION"),
]
OUTSIDE = [
    ("create index concurrently on t (a)", "CREATE INDEX CONCURRENTLY"),
    (
        "Create /* x */ Index -- y\n Concurrently If Not Exists i On t (a)",
        "CREATE INDEX CONCURRENTLY",
    ),
    ("create/**/index concurrently i on t (a)", "CREATE INDEX CONCURRENTLY"),
    ("create unique index concurrently i on t (a)", "CREATE UNIQUE INDEX CONCURRENTLY"),
    ("drop index concurrently if exists i", "DROP INDEX CONCURRENTLY"),
    ("reindex index concurrently i", "REINDEX CONCURRENTLY"),
    ("reindex (verbose, concurrently) table t", "REINDEX CONCURRENTLY"),
    ("reindex (concurrently true) table t", "REINDEX CONCURRENTLY"),
    ("reindex database", "REINDEX DATABASE"),
    ("reindex (verbose) system s", "REINDEX SYSTEM"),
    ("reindex schema s", "REINDEX SCHEMA"),
    (
        "alter table only s.t detach partition p concurrently",
        "ALTER TABLE … DETACH PARTITION … CONCURRENTLY",
    ),
    ('alter table if exists "T" detach partition s."p" concurrently -- x', "ALTER TABLE …"),
    ("vacuum", "VACUUM"),
    ("VACUUM (ANALYZE) t", "VACUUM"),
    ("create database d", "CREATE DATABASE"),
    ("drop database if exists d", "DROP DATABASE"),
    ("create tablespace s location '/x'", "CREATE TABLESPACE"),
    ("drop tablespace s", "DROP TABLESPACE"),
    ("alter system set work_mem = '1MB'", "ALTER SYSTEM"),
    ('alter database "d" set tablespace s', "ALTER DATABASE … SET TABLESPACE"),
    ('alter database U&"d" set tablespace s', "ALTER DATABASE … SET TABLESPACE"),
    ("discard all", "DISCARD ALL"),
    ("cluster", "CLUSTER of all tables"),
    ("cluster verbose", "CLUSTER of all tables"),
    ("cluster (verbose)", "CLUSTER of all tables"),
    ("repack", "REPACK of all tables"),
    ("repack (concurrently) t", "REPACK CONCURRENTLY"),
    ("create subscription s connection 'x' publication p", "CREATE SUBSCRIPTION"),
    (
        "create subscription s connection 'x' publication p with (create_slot = true)",
        "CREATE SUBSCRIPTION",
    ),
    ("alter subscription s refresh publication", "ALTER SUBSCRIPTION … REFRESH"),
    ("alter subscription s set publication p", "ALTER SUBSCRIPTION … SET PUBLICATION"),
    ("alter subscription s set (two_phase = on)", "ALTER SUBSCRIPTION … SET"),
    ("drop subscription s", "DROP SUBSCRIPTION"),
]
ORDINARY = [
    "select 'begin'",
    '"begin"',
    "beginning",
    "select 1 -- commit",
    "/* vacuum */ analyze t",
    "do $$ begin commit; end $$",
    "set transaction isolation level serializable",
    "prepare transaction as select 1",
    "prepare transaction (int) as select $1",
    "create function f() returns int begin atomic select 1; end",
    "create index i on t (a) where b = 'concurrently'",
    'create index "concurrently" on t (a)',
    "create unique index i on t (a)",
    "drop index i",
    "drop table concurrently",
    "reindex table t",
    "reindex (concurrently false) table t",
    "reindex (concurrently off) index i",
    "alter table t detach partition p",
    "alter table t detach partition s.concurrently",
    "alter table t detach partition p finalize",
    "alter table t add column vacuum int",
    "alter database d set work_mem = '1MB'",
    "alter database d rename to tablespace",
    "discard temp",
    "cluster t",
    "cluster verbose t using i",
    "cluster (verbose) t",
    "repack t",
    "analyze",
    "alter type e add value 'x'",
    "create subscription s connection 'x' publication p with (create_slot = false)",
    "create subscription s connection 'x' publication p with (connect = 'false', enabled)",
    "alter subscription s set publication p with (refresh = false)",
    "alter subscription s disable",
    "alter subscription s set (binary)",
    "create database_copy",
]


def _classify(text: str) -> tuple[StatementKind, str]:
    (statement,) = split(text)
    return classify(statement)


@pytest.mark.parametrize(("text", "command"), CONTROL, ids=[text for text, _ in CONTROL])
def test_transaction_control(text: str, command: str) -> None:
    """It begins or ends a transaction, and is named for people."""
    assert _classify(text) == (StatementKind.TRANSACTION_CONTROL, command)


@pytest.mark.parametrize(("text", "command"), OUTSIDE, ids=[text for text, _ in OUTSIDE])
def test_outside_transaction(text: str, command: str) -> None:
    """PostgreSQL refuses it inside a transaction, and it is named for people."""
    kind, named = _classify(text)
    assert kind is StatementKind.OUTSIDE_TRANSACTION
    assert named == command or named.startswith(command.removesuffix("…"))


@pytest.mark.parametrize(
    "text", [text for text, _ in CONTROL + OUTSIDE if not {"/*", "--"} & set(text.split())]
)
@pytest.mark.parametrize("between", ["\n", "/**/", " --\n\t"])
def test_however_it_is_written(text: str, between: str) -> None:
    """Comments, line breaks and capitals make no difference."""
    kind, command = _classify(text)
    if "'" not in text and '"' not in text:
        text = text.upper()
    assert _classify(text.replace(" ", between)) == (kind, command)


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary(text: str) -> None:
    """Words in strings, names, comments and bodies decide nothing."""
    assert _classify(text) == (StatementKind.ORDINARY, "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("COPY t TO stdout", True),
        ("copy /* from */ s.to to stdin (format csv)", True),
        ("COPY (select a from stdin) TO STDOUT", True),
        ("copy t (a, b) to stdout with csv", True),
        ("COPY t TO '/tmp/to stdout'", False),
        ("COPY t TO PROGRAM 'cat'", False),
        ("COPY t FROM stdin", False),
        ("copyright to stdout", False),
    ],
)
def test_copy_to_the_client(text: str, *, expected: bool) -> None:
    """It is told from COPY to the server's files; it is ordinary for the transaction."""
    (statement,) = split(text + (";\n\\." if "FROM" in text and "select" not in text else ""))
    assert sends_to_client(statement) is expected
    assert kind_of(statement) is StatementKind.ORDINARY
