"""The file of integrity checks: read whole, or refused with the line of what is wrong."""

import os
from pathlib import Path

import pytest

from dbmigrate.errors import SourceError
from dbmigrate.migrations.checks import MAX_BYTES, load_checks

SAMPLE = Path(__file__).parents[3] / "migrations" / "checks.yaml"

GOOD = """\
integrityChecks:
  - name: doubles
    unique: {table: users, columns: [email]}
"""


@pytest.fixture
def file(tmp_path):
    """Writes the file, and gives its path."""

    def _file(content):
        path = tmp_path / "checks.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return _file


def test_reads_the_checks_in_their_order(file):
    """Names, kinds and severities as written."""
    more = GOOD + "  - name: more\n    severity: critical\n    query: {sql: SELECT 1}\n"
    checks = load_checks(file(more))
    assert [(c.name, str(c.severity)) for c in checks] == [
        ("doubles", "warning"),
        ("more", "critical"),
    ]


def test_takes_a_byte_order_mark(file):
    """Editors under Windows write one."""
    assert len(load_checks(file(b"\xef\xbb\xbf" + GOOD.encode()))) == 1


def test_reads_the_sample():
    """What ships works, and has every check that the README names."""
    names = {check.name for check in load_checks(SAMPLE)}
    assert {
        "foreign_key_integrity",
        "questions->exams",
        "exams->subjects",
        "user_sessions->users",
        "subject_question_counts",
        "duplicate_subjects",
        "data_type_validity.email",
    } <= names


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        (
            GOOD.replace("columns: [email]", "columns: []"),
            (3, 37),
            "line 3: integrityChecks[0].unique.columns:",
        ),
        (GOOD + "    severity: fatal\n", (4, 15), "integrityChecks[0].severity: Input should be"),
        (GOOD + "    colour: red\n", (4, 13), "integrityChecks[0].colour: Extra inputs"),
        (GOOD + "    query: {sql: SELECT 1}\n", (2, 5), "give exactly one of"),
        (GOOD + "    name: twice\n", (4, 5), "the key 'name' stands twice"),
        (GOOD + GOOD.partition("\n")[2], (1, 1), "two checks are named 'doubles'"),
        (GOOD + "    description: [\n", (5, 1), "is not YAML"),
        ("- name: x\n", (1, 0), "expected a mapping with the key integrityChecks"),
        ("", (1, 0), "expected a mapping with the key integrityChecks"),
        ("integrityChecks: !!python/object:os.system {}\n", (1, 18), "is not YAML"),
        (b"integrityChecks:\n  - name: \xff\n", (2, 0), "is not UTF-8"),
    ],
)
def test_says_what_is_wrong_and_where(file, content, place, message):
    """The field's path, and its line and column."""
    with pytest.raises(SourceError) as caught:
        load_checks(file(content))
    location = caught.value.location
    assert message in caught.value.message
    assert (location.line, location.column) == place
    assert location.file.endswith("checks.yaml")


def test_names_several_faults_at_once(file):
    """One run, all that is wrong."""
    with pytest.raises(SourceError) as caught:
        load_checks(file(GOOD.replace("email", '""') + "    severity: fatal\n"))
    assert "line 3: " in caught.value.message
    assert "line 4: " in caught.value.message


def test_a_missing_file_is_said(tmp_path):
    """With its path, and the system's reason."""
    with pytest.raises(SourceError, match=r"nowhere\.yaml: No such file"):
        load_checks(tmp_path / "nowhere.yaml")


def test_a_pipe_is_not_waited_for(tmp_path):
    """Nobody may ever write to it."""
    os.mkfifo(tmp_path / "checks.yaml")
    with pytest.raises(SourceError, match="not a regular file"):
        load_checks(tmp_path / "checks.yaml")


def test_a_file_that_is_nested_without_end_is_refused(file):
    """Its reader calls itself for each level."""
    with pytest.raises(SourceError, match="nested too deeply"):
        load_checks(file(b"integrityChecks: " + b"[" * 5000))


def test_a_file_without_end_is_not_read(file):
    """What is larger than a list of checks can be is something else."""
    with pytest.raises(SourceError, match="larger than 1 MiB"):
        load_checks(file(b"#" * (MAX_BYTES + 1)))
