"""What the real linter finds in real files, in places that a person can go to."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbmigrate.api.lint import LintLevel
from dbmigrate.errors import SourceError
from dbmigrate.lint import check
from dbmigrate.lint.squawk import Squawk
from dbmigrate.migrations.statements import position


def test_a_clean_file_has_no_findings(lint):
    """And the report says who looked."""
    report = lint("create table a (id bigint);")
    assert (report.findings, report.gaps, report.refusing, report.reported) == ((), (), 0, 0)
    assert report.files == 1
    assert report.linter.startswith("squawk 2.")
    assert report.summary == "no findings to report in 1 file"


def test_a_finding_has_its_place_its_line_and_what_to_do_instead(lint):
    """All that a person needs."""
    (found,) = lint("select 1;\n  create index i on a (x);\n").findings
    assert found.rule == "require-concurrent-index-creation"
    assert found.level is LintLevel.REFUSE
    assert (found.line, found.column, found.end_line, found.end_column) == (2, 3, 2, 27)
    assert found.excerpt == "  create index i on a (x);\n  ^"
    assert "concurrently" in found.help
    assert found.file == "migrations/v1.1.0_x.sql"
    assert found.version == "1.1.0"


def test_findings_come_in_the_files_order(lint):
    """Also when files of both kinds, within a transaction and outside, are mixed."""
    report = lint(
        "drop table a;",
        "create index concurrently i on a (x); drop table b;",
        "drop table c; drop table d;",
    )
    found = [(each.version, each.column) for each in report.findings]
    assert found == [("1.1.0", 1), ("1.2.0", 39), ("1.3.0", 1), ("1.3.0", 15)]


PARTS = st.lists(
    st.sampled_from(["\n", "\r\n", "\r", "\t", "é", "😀", "\u2028", "\x85", "\x0c", "x ", "'"])
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parts=PARTS, has_mark=st.booleans())
def test_places_are_counted_in_characters_as_everywhere_here(lint, parts, has_mark):
    """Whatever stands before: other line ends, wide characters, a byte order mark."""
    before = f"/*{''.join(parts)}*/"
    mark = b"\xef\xbb\xbf" if has_mark else b""
    (found,) = lint(mark + f"{before}drop table a;".encode()).findings
    assert (found.line, found.column) == position(before, len(before))


def test_data_of_copy_is_not_looked_at_and_moves_no_place(places):
    """It may hold anything: quotes, SQL, a comment that would silence a rule."""
    text = (
        "copy a from stdin;\n1\tit's\n-- squawk-ignore-file\n2\tdrop table z;\n\\.\n"
        "copy b (x) from stdin with (format text);\n\\.\n"
        "drop table a;\n/* é */ drop table b;\n"
    )
    assert places(text) == [(8, 1, "ban-drop-table"), (9, 9, "ban-drop-table")]


def test_a_dump_as_pg_dump_writes_it_is_read(lint):
    """With its restrict lines, settings and data."""
    report = lint(
        "\\restrict abc\nset statement_timeout = 0;\nselect pg_catalog.set_config("
        "'search_path', '', false);\ncreate table public.a (id bigint not null);\n"
        "COPY public.a (id) FROM stdin;\n1\n2\n\\.\n\nalter table only public.a\n"
        "    add constraint a_pkey primary key (id);\n\\unrestrict abc\n"
    )
    assert (report.findings, report.gaps) == ((), ())


def test_a_statement_that_the_linter_cannot_read_is_a_gap_and_no_finding(lint):
    """The server judges the syntax; what stands around it is looked at."""
    report = lint("drop table a;\nselect :frob;  drop table b;\nalter table c frob d; select 1;\n")
    assert [(each.line, each.column) for each in report.findings] == [(1, 1), (2, 16)]
    assert [(each.line, each.column) for each in report.gaps] == [(2, 1), (3, 1)]
    assert report.gaps_total == 2
    assert "cannot read the statement" in report.gaps[0].reason
    assert report.summary == "2 findings to refuse, 2 gaps in 1 file"


def test_many_statements_that_cannot_be_read_leave_the_others(lint):
    """More than are found one by one."""
    report = lint("".join(f"frob {n};\ndrop table a{n};\n" for n in range(50)))
    assert report.gaps_total == 50
    assert report.refusing == 50
    assert [each.line for each in report.findings] == list(range(2, 101, 2))


def test_a_comment_does_not_reach_over_a_statement_that_was_left_out(places):
    """It was written for that one."""
    text = "-- squawk-ignore ban-drop-table\nfrob;\ndrop table a;\n"
    assert places(text) == [(3, 1, "ban-drop-table")]


def test_a_text_that_crashes_the_linter_costs_only_itself(lint):
    """Squawk's parser overflows its stack on deep nesting, which the server may well accept."""
    deep = f"select {'(' * 20_000}1{')' * 20_000};"
    report = lint("drop table a;", deep, "drop table b;", "drop table c;")
    assert [each.version for each in report.findings] == ["1.1.0", "1.3.0", "1.4.0"]
    (gap,) = report.gaps
    assert (gap.version, gap.line) == ("1.2.0", 0)
    assert "signal 6" in gap.reason


def test_a_comment_silences_a_rule_on_the_next_line(places):
    """Squawk's own; only that rule, only there."""
    text = (
        "-- squawk-ignore ban-drop-table\ndrop table a;\n"
        "-- squawk-ignore ban-drop-column\ndrop table b;\n"
    )
    assert places(text) == [(4, 1, "ban-drop-table")]


def test_a_comment_can_silence_the_whole_file(places):
    """A rule, or all of them."""
    assert places("-- squawk-ignore-file ban-drop-table\n\ndrop table a;\ndrop table b;\n") == []


def test_a_comment_with_a_misspelt_rule_is_told(places):
    """It silences nothing."""
    text = "-- squawk-ignore ban-drop-tabel\ndrop table a;\n"
    assert places(text) == [(1, 18, "unused-ignore"), (2, 1, "ban-drop-table")]
    assert places(text, rules={"unused-ignore": LintLevel.OFF}) == [(2, 1, "ban-drop-table")]


def test_a_rule_that_is_off_finds_nothing_and_one_that_is_on_does(places):
    """Both over squawk's own choice."""
    text = "create table a (id int);"
    assert places(text) == []
    assert places(text, rules={"prefer-bigint-over-int": LintLevel.REPORT}) == [
        (1, 20, "prefer-bigint-over-int")
    ]
    assert places(text, rules={"require-table-schema": LintLevel.REFUSE}) == [
        (1, 14, "require-table-schema")
    ]


def test_an_index_within_the_file_that_makes_its_table_needs_no_concurrently(places):
    """Nobody else sees the table yet."""
    assert places("create table a (x bigint); create index on a (x);") == []


def test_a_file_runs_in_a_transaction_unless_it_cannot(places):
    """So VALIDATE beside NOT VALID holds its lock to the end; with CONCURRENTLY it does not."""
    text = (
        "alter table a add constraint c check (x > 0) not valid;\n"
        "alter table a validate constraint c;\n"
    )
    assert places(text) == [(2, 15, "constraint-missing-not-valid")]
    assert places(text + "create index concurrently i on a (x);\n") == []
    assert places("-- dbmigrate: transaction=statement\n" + text) == []


def test_the_servers_version_counts(places):
    """A constant default rewrites the table on PostgreSQL 10 and costs nothing from 11 on."""
    text = "alter table a add column b bigint default 5;"
    assert places(text, server_version=160002) == []
    assert places(text, server_version=100023) == [(1, 43, "adding-field-with-default")]


def test_a_rollback_is_told_about_locks_and_refuses_nothing(file, lint):
    """It takes away what its migration brought."""
    text = "drop table a; alter table b alter column c type text; create index on b (c);"
    report = lint(file(text, is_rollback=True))
    assert report.refusing == 0
    assert [each.rule for each in report.findings] == [
        "changing-column-type",
        "require-concurrent-index-creation",
    ]


def test_a_report_holds_so_many_findings_and_counts_all(lint):
    """Those that refuse are kept."""
    text = "drop view v;\n" * 5 + "drop table a;\n" * 3 + "drop view v;\n" * 5
    report = lint(text, limit=4)
    assert (report.refusing, report.reported) == (3, 10)
    assert [each.line for each in report.findings] == [1, 6, 7, 8]


def test_a_large_file_is_a_gap(lint, monkeypatch):
    """Squawk takes twenty times its size in memory."""
    monkeypatch.setattr(check, "TEXT_LIMIT", 1000)
    monkeypatch.setattr(check, "FILE_LIMIT", 5000)
    data = "copy a from stdin;\n" + "1\n" * 1000 + "\\.\ndrop table a;\n"
    too_long, too_large = "drop view;\n" * 92, "drop view;\n" * 455
    report = lint(data, too_long, too_large)
    assert [each.version for each in report.findings] == ["1.1.0"]
    assert [each.version for each in report.gaps] == ["1.2.0", "1.3.0"]
    assert "1012 characters" in report.gaps[0].reason
    assert "5005 bytes" in report.gaps[1].reason


def test_many_files_take_few_runs_and_are_all_looked_at(lint, monkeypatch):
    """However they are divided."""
    monkeypatch.setattr(check, "_BATCH_FILES", 7)
    monkeypatch.setattr(check, "_BATCH_BYTES", 100)
    report = lint(*["drop table a;"] * 40)
    assert [each.version for each in report.findings] == [f"1.{n}.0" for n in range(1, 41)]


def test_a_file_that_cannot_be_split_is_an_error_with_its_place(lint):
    """The same that `up` gives."""
    with pytest.raises(SourceError) as caught:
        lint("copy a from stdin;\n1\n")
    assert caught.value.error_code == "CopyData"
    assert str(caught.value.location) == "migrations/v1.1.0_x.sql:1:1"


def test_no_file_is_no_finding(lint):
    """And no error."""
    assert lint().files == 0


def test_no_configuration_that_lies_about_is_read(lint, monkeypatch, tmp_path):
    """It would be looked for in every folder above squawk's own; nothing is left behind either."""
    (tmp_path / ".squawk.toml").write_text('pg_version = "10.0"\n')
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert lint("alter table a add column b bigint default 5;").findings == ()
    assert list(tmp_path.iterdir()) == [tmp_path / ".squawk.toml"]


def test_an_error_that_no_left_out_statement_explains_makes_the_file_a_gap(lint, squawk, tmp_path):
    """However often one is left out, it would come again."""
    wrapper = tmp_path / "squawk"
    error = (
        '{"file":"0.sql","line":0,"column":0,"level":"Error","message":"always","help":null,'
        '"rule_name":"syntax-error","column_end":0,"line_end":0}'
    )
    wrapper.write_text(f"#!/bin/sh\n{squawk.program} \"$@\" | sed 's/^\\[/[{error},/'\n")
    wrapper.chmod(0o755)
    report = lint("select 1; drop table a;", program=Squawk(wrapper))
    assert report.findings == ()
    assert [each.reason for each in report.gaps] == [
        "the linter cannot read the statement: always",
        "the linter cannot read the file: always",
    ]
