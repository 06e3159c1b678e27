"""Where statements begin and end: `split` divides a script as psql does."""

from __future__ import annotations

import pytest

from dbmigrate.migrations.statements import split

ONE_STATEMENT = {
    "a semicolon within a string": "select 'a;b'",
    "a doubled quote does not close a string": "select 'it''s; here'",
    "a backslash is an ordinary character in a standard string": r"select 'C:\', ';'",
    "E'…' escapes a quote by a backslash": r"select E'it\'s; here'",
    "E'…' escapes a backslash too": r"select E'a\\', ';'",
    "E'…' takes a doubled quote too": "select e'it''s; \\' here'",
    "E'…' goes on behind a line break": "select E'a'\n  'b\\';c'",
    "E'…' goes on behind a comment and a line break": "select E'a' -- more\n -- yet\n 'b\\';c'",
    "a name that ends with e is no escape prefix": r"select date'2024-01-01\' || ';'",
    "U&'…' knows no backslash escape of quotes": r"select U&'d\0061t\', ';'",
    "bit strings and national strings": "select B'1;0', X'1;F', N'a;b'",
    "a semicolon within a quoted name": 'select 1 as "a;b"',
    "a doubled quote does not close a name": 'select 1 as "a""b;c"',
    'U&"…" is a quoted name': r'select U&"d\0061;t"',
    "a single quote within a quoted name": 'select "it\'s;"',
    "an empty dollar tag": "select $$a;b$$",
    "a dollar tag": "select $x$a;$$;b$x$",
    "a dollar tag beyond ASCII": "select $été$a;$ete$;$été$",
    "a dollar tag ends at its first repetition": "select $a$b;$b$a$ || ';'",
    "a string within a dollar-quoted body": "do $$ begin raise notice 'x;'; end $$",
    "an unbalanced quote within a dollar-quoted body": "do $$ -- don't; \n$$",
    "a semicolon within a line comment": "select 1 -- a;b\n, 2",
    "a carriage return alone ends a line comment": "select 1 -- a;b\r, ';'",
    "a quote within a line comment": "select 1 -- don't\n, ';'",
    "a comment": "select 1 /* a;b */ , 2",
    "comments nest": "select 1 /* a /* b; */ c; */ , 2",
    "a slash-star-slash does not close the comment it opens": "select 1 /*/ ; */ , 2",
    "an operator that ends in a comment": "select 1 +/* ; */ 2",
    "an operator that ends in a line comment": "select 1 *-- ;\n 2",
    "quotes within a comment": "select 1 /* ' \" $$ */ , ';'",
    "the actions of a rule": "create rule r as on insert to t do (delete from a; delete from b)",
    "deep parentheses with semicolons": "create rule r as on insert to t do ((((a;b)c;)d;)e;)",
    "a string within parentheses": "insert into t values ('(', ';', $$;)$$, E'\\');')",
    "a comment with a parenthesis within parentheses": "insert into t values (1 -- )\n, ';')",
    "a line comment within deep parentheses": "select (((1 -- ) ; don't\n)))",
    "a surplus closing parenthesis counts for nothing": "select 1) + (';')",
    "division and subtraction": "select 4 / 2 - 1 || ';'",
    "a BEGIN ATOMIC body": "create function f() returns int begin atomic select 1; select 2; end",
    "OR REPLACE PROCEDURE with a body": (
        "Create Or Replace Procedure p() language sql Begin Atomic insert into t values (1); End"
    ),
    "CREATE PROCEDURE with a body": "create procedure p() begin atomic select 1; select 2; end",
    "CASE directly before a string": (
        "create function f() begin atomic select case'x' when'\\'then 1 end; select 2; end"
    ),
    "CASE and END within parentheses do not count": (
        "create function f() begin atomic select (select E'x', 1 end); select 2; end"
    ),
    "a semicolon behind inner parentheses": (
        "create rule r as on insert to t do (((select $1); b); c)"
    ),
    "E'…' goes on behind a carriage return": "select E'a'\r'b\\';c'",
    "CASE ends with END too, within a body": (
        "create function f() returns int begin atomic"
        " select case when a then case 1 when 2 then 3 end else 4 end; select 5; end"
    ),
    "CASE within parentheses within a body": (
        "create function f() returns int begin atomic select (case when a then 1 end); end"
    ),
    "a column called end within a body": (
        "create function f() returns int begin atomic select t.end, 1 as end; select 2; end"
    ),
    "an escape string within a body": (
        "create function f() returns text begin atomic select E'\\';'; select E'end'; end"
    ),
    "a comment before the kind of routine": (
        "create /* ; */ function f() begin atomic select 1; end"
    ),
    "comments between BEGIN and ATOMIC": (
        "create function f() begin -- now\n /* and */ atomic select 1; end"
    ),
    "a function within CREATE SCHEMA": (
        "create schema s create function f() returns int begin atomic select 1; end"
    ),
    "a function called begin": "create function begin() returns int language sql as 'select 1'",
    "psql's variables are plain text": "select :name, :'name', :\"name\"",
}

SEVERAL = {
    "two statements": ("select 1; select 2", ["select 1", "select 2"]),
    "empty statements are left out": (";; select 1;;; ;select 2;;", ["select 1", "select 2"]),
    "nothing": ("", []),
    "only whitespace and comments": (" \t\n-- a; b\n/* c; */ \r\n", []),
    "a parameter opens no dollar quote": (
        "prepare p as select $1; select $1$$;$$",
        ["prepare p as select $1", "select $1$$;$$"],
    ),
    "a dollar within a name opens no quote": (
        "select a$b$c; select 2",
        ["select a$b$c", "select 2"],
    ),
    "a dollar within a name beyond ASCII": (
        "select é$é$ü; select é$é$",
        ["select é$é$ü", "select é$é$"],
    ),
    "two dollars within a name": ("select a$$b$$; select 2", ["select a$$b$$", "select 2"]),
    "a number before a dollar quote": ("select 1$$;$$; x", ["select 1$$;$$", "x"]),
    "a dollar tag does not begin with a digit": ("select $1a$; x $1a$", ["select $1a$", "x $1a$"]),
    "a dollar alone": ("select $ ; select 2", ["select $", "select 2"]),
    "case beyond ASCII is not folded": ("\u017felect 1; set 2", ["\u017felect 1", "set 2"]),
    "BEGIN ends at once outside a routine": ("begin; select 1; end", ["begin", "select 1", "end"]),
    "BEGIN ATOMIC outside a routine": ("begin atomic; end", ["begin atomic", "end"]),
    "a table called atomic": (
        "create table atomic (a int); x",
        ["create table atomic (a int)", "x"],
    ),
    "behind a body": (
        "create function f() begin atomic select 1; end; select 2",
        ["create function f() begin atomic select 1; end", "select 2"],
    ),
    "a function called atomic": (
        "create function atomic() as ''; x",
        ["create function atomic() as ''", "x"],
    ),
    "a string that begins the script": ("'\\'; e", ["'\\'", "e"]),
    "a routine with a dollar-quoted body": (
        "create function f() as $$ begin atomic; $$; select 2",
        ["create function f() as $$ begin atomic; $$", "select 2"],
    ),
    "a quoted name is no keyword": (
        'create function "begin" () as \'\' ; create function f("begin" atomic); x',
        ["create function \"begin\" () as ''", 'create function f("begin" atomic)', "x"],
    ),
    "carriage returns": ("select 1;\r\nselect\r\n2;\r\n", ["select 1", "select\r\n2"]),
    "comments around are not part of it": (
        "/* a */ -- b\n select 1 -- c\n /* d */ ; -- e",
        ["select 1"],
    ),
    "comments within are": ("select /* a */ 1 -- b\n + 2 /* c */", ["select /* a */ 1 -- b\n + 2"]),
    "a byte order mark": ("\ufeffselect 1", ["select 1"]),
    "restrict lines as pg_dump writes them": (
        "\\restrict aB3\n\nselect 1;\n\\unrestrict aB3\r\n",
        ["select 1"],
    ),
}


@pytest.mark.parametrize("statement", ONE_STATEMENT.values(), ids=ONE_STATEMENT.keys())
def test_one_statement(statement: str) -> None:
    """What stands within it does not end it, and what stands behind it is not lost."""
    script = f"{statement};\n{statement}"
    assert [each.text for each in split(script)] == [statement, statement]


@pytest.mark.parametrize(("script", "expected"), SEVERAL.values(), ids=SEVERAL.keys())
def test_several(script: str, expected: list[str]) -> None:
    """The texts are those of the statements, exactly."""
    assert [each.text for each in split(script)] == expected


def test_position() -> None:
    """Number, offset, line and column are those of the first token, in characters."""
    script = "-- é\r\n\tselect 'ü\n';  select\n2;;\n/* x */ select 3"
    found = [(each.number, each.line, each.column) for each in split(script)]
    assert found == [(1, 2, 2), (2, 3, 5), (3, 5, 9)]
    assert all(script.startswith(each.text, each.start) for each in split(script))


def test_position_behind_byte_order_mark() -> None:
    """A byte order mark takes no column."""
    (statement,) = split("\ufeffselect 1")
    assert (statement.start, statement.line, statement.column) == (1, 1, 1)


def test_locate() -> None:
    """The server's statement position leads to the place in the file."""
    *_, statement = split("select 1;\n  select é,\n   wrong;")
    assert statement.locate(1) == (2, 3)
    assert statement.locate(8) == (2, 10)
    assert statement.locate(statement.text.index("wrong") + 1) == (3, 4)


def test_lazy() -> None:
    """Statements come as they are found: an error further on does not hide them."""
    stream = split("select 1; select 'open")
    assert next(stream).text == "select 1"


COPIES = {
    "with columns": ("COPY t (a, b) FROM STDIN;\n1\t2\n\\.\n", "1\t2\n"),
    "lower case": ("copy t from stdin;\n1\n\\.\n", "1\n"),
    "with options": ("COPY t FROM STDIN WITH (FORMAT csv, NULL ';');\n1\n\\.\n", "1\n"),
    "comments within": ("COPY/**/t FROM -- x\n STDIN;\n1\n\\.\n", "1\n"),
    "the old BINARY": ("COPY BINARY t FROM STDIN;\n1\n\\.\n", "1\n"),
    "STDOUT is taken for STDIN": ("COPY t FROM STDOUT;\n1\n\\.\n", "1\n"),
    "a table called from": ("COPY s.from FROM stdin;\n1\n\\.\n", "1\n"),
    "no rows": ("COPY t FROM stdin;\n\\.\n", ""),
    "one empty row": ("COPY t FROM stdin;\n\n\\.\n", "\n"),
    "a comment behind it": ("COPY t FROM stdin; -- rows\n1\n\\.\n", "1\n"),
    "carriage returns": ("COPY t FROM stdin;\r\n1\r\n2\r\n\\.\r\n", "1\r\n2\r\n"),
    "the end of the file behind the mark": ("COPY t FROM stdin;\n1\n\\.", "1\n"),
    "a longer line is no mark": (
        "COPY t FROM stdin;\n\\.x\n\\. \na\\.\n\\.\n",
        "\\.x\n\\. \na\\.\n",
    ),
    "data that looks like SQL": ("COPY t FROM stdin;\n';$$ /*\n\\.\n", "';$$ /*\n"),
}


@pytest.mark.parametrize(("script", "data"), COPIES.values(), ids=COPIES.keys())
def test_copy_data(script: str, data: str) -> None:
    """The data belongs to the COPY statement, and the next statement follows it."""
    copy, after = split(f"{script}\nselect 1;")
    assert copy.copy_data == (data.encode(),)
    assert after.text == "select 1"
    assert after.line == script.count("\n") + 2


def test_copy_data_at_the_end_of_the_file() -> None:
    """The last line needs no line break."""
    (copy,) = split("COPY t FROM stdin;\n1\n\\.")
    assert copy.copy_data == (b"1\n",)


@pytest.mark.parametrize(
    "statement",
    [
        "COPY t FROM '/tmp/from stdin'",
        "COPY t FROM PROGRAM 'cat stdin'",
        "COPY t TO STDOUT",
        "COPY (select a from stdin) TO STDOUT",
        'COPY "from" TO stdout',
        "COPY s.from TO stdout",
        "insert into t values ('COPY t FROM stdin')",
        "copyright from stdin",
        "select a from stdin",
    ],
)
def test_no_copy_data(statement: str) -> None:
    """Only COPY … FROM stdin is followed by data."""
    first, second = split(f"{statement};\nselect 1;")
    assert (first.copy_data, second.copy_data) == (None, None)


def test_every_copy_of_a_dump() -> None:
    """Two COPYs in a row keep their own data and places."""
    script = "COPY a FROM stdin;\n1\n\\.\n\n\nCOPY b FROM stdin;\n2\n\\.\n"
    found = [(each.line, each.copy_data) for each in split(script)]
    assert found == [(1, (b"1\n",)), (6, (b"2\n",))]


LARGE_OBJECT = (
    "SELECT pg_catalog.lo_open('16400', 131072);\n"
    "SELECT pg_catalog.lowrite(0, '\\x6162');\n"
    "SELECT pg_catalog.lo_close(0);\n"
)


def _brackets(script: str) -> list[str]:
    return [each.text for each in split(script) if each.is_bracket]


@pytest.mark.parametrize("number", [1, 3])
def test_what_is_around_large_objects(number: int) -> None:
    """BEGIN and COMMIT of a dump's data of large objects are known for what they are."""
    script = f"BEGIN;\n\n{LARGE_OBJECT * number}\nCOMMIT;\n"
    assert _brackets(script) == ["BEGIN", "COMMIT"]
    assert _brackets(script * 2) == ["BEGIN", "COMMIT"] * 2


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("BEGIN;\nselect 1;\nCOMMIT;", []),
        (f"BEGIN;\nselect 1;\n{LARGE_OBJECT}COMMIT;", []),
        (f"BEGIN;\n{LARGE_OBJECT}ROLLBACK;", ["BEGIN"]),
        (f"BEGIN;\n{LARGE_OBJECT}insert into t values (1);\nCOMMIT;", ["BEGIN"]),
        (f"BEGIN;\n{LARGE_OBJECT}COMMIT;COMMIT;", ["BEGIN", "COMMIT"]),
        ("BEGIN;\nSELECT pg_catalog.lo_open('1', 131072), f();\nCOMMIT;", []),
    ],
)
def test_what_is_around_anything_else(script: str, expected: list[str]) -> None:
    """No other transaction is taken for one: what is left of it is refused."""
    assert _brackets(script) == expected
