"""A linter that is missing, broken, slow or another program is an error, never "no findings"."""

import os
import sys
from pathlib import Path

import pytest

from dbmigrate.errors import LinterFailedError
from dbmigrate.lint import squawk as module
from dbmigrate.lint.rules import RULES, UNSWITCHABLE
from dbmigrate.lint.squawk import Squawk, find


@pytest.fixture
def program(tmp_path):
    """Make a program that does what a line of shell says."""

    def make(script, name="squawk"):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return make


def look(program, *texts, timeout=10.0):
    """Ask a program about texts."""
    return Squawk(program, timeout).look(list(texts) or ["select 1;"], in_transaction=True)


def failure(program, *texts, **options):
    """Why a program does not work."""
    with pytest.raises(LinterFailedError) as caught:
        look(program, *texts, **options)
    assert str(program) in caught.value.message
    assert caught.value.exit_code == 1
    assert "--squawk" in caught.value.hint
    return caught.value.message


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo '[]'", "does not find the error that was put there"),
        ("exit 0", "answer is not understood: it ended with 0"),
        ("echo oh no >&2; exit 1", "answer is not understood: it ended with 1: oh no"),
        ("echo oh no >&2; exit 2", "it ended with 2: oh no"),
        ("kill -SEGV $$", "signal 11"),
        ("echo '{}'", "does not find the error"),
        ("echo '[1]'", "answer is not understood"),
        ('echo \'[{"file": "canary.sql"}]\'', "answer is not understood"),
        ("cat canary.sql", "answer is not understood"),
    ],
)
def test_a_program_that_does_not_prove_that_it_looked_is_an_error(program, script, why):
    """Nothing that it says counts, least of all that there is nothing."""
    assert why in failure(program(script))


def test_a_program_that_does_not_end_is_ended(program, tmp_path):
    """After its time, and it is gone."""
    script = program(f"echo $$ > {tmp_path}/pid; exec sleep 600")
    assert "took longer than 0.5 s" in failure(script, timeout=0.5)
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_program_that_is_not_there_or_cannot_be_run_is_an_error(tmp_path):
    """With the system's own word."""
    assert "No such file" in failure(tmp_path / "none")
    (tmp_path / "text").write_text("no program")
    assert "Permission denied" in failure(tmp_path / "text")


def test_findings_that_are_counted_otherwise_are_an_error(program, squawk):
    """Columns in characters instead of bytes, say: every place would be wrong."""
    wrapper = program(f'{squawk.program} "$@" | sed \'s/"column":9/"column":8/\'')
    assert "does not find the error" in failure(wrapper)


def test_an_answer_for_a_file_that_was_not_asked_for_is_an_error(program, squawk):
    """It belongs to something else."""
    wrapper = program(f'{squawk.program} "$@" | sed \'s/"0.sql"/"9.sql"/\'')
    assert "a file that it was not given" in look(wrapper, "drop table a;")[0]


def test_where_there_is_no_room_for_its_files_nothing_is_called_clean(monkeypatch, squawk):
    """A pod without a writable /tmp."""
    monkeypatch.setattr("tempfile.tempdir", "/proc")
    assert "no room" in failure(squawk.program)


@pytest.mark.parametrize("script", ["exit 0", "exit 1", "echo flake8 1.0", "kill -9 $$"])
def test_a_program_that_is_not_squawk_is_found_out(program, script):
    """By the version that it does not tell."""
    with pytest.raises(LinterFailedError):
        Squawk(program(script)).version()


def test_the_one_installed_with_us_is_taken(monkeypatch, program):
    """Not another that PATH leads to."""
    other = program("exit 1")
    monkeypatch.setenv("PATH", f"{other.parent}:/usr/bin:/bin")
    assert find(None).program == Path(sys.executable).parent / "squawk"


def test_without_it_the_one_on_path_is_taken_and_without_that_it_is_missing(
    monkeypatch, program, tmp_path
):
    """Where no wheel fits the machine."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "elsewhere" / "python"))
    other = program("exit 1")
    monkeypatch.setenv("PATH", str(other.parent))
    assert find(None).program == other
    other.unlink()
    with pytest.raises(LinterFailedError) as caught:
        find(None)
    assert caught.value.error_code == "LinterMissing"
    assert "pip install squawk-cli" in caught.value.hint


def test_the_one_that_is_named_is_taken(monkeypatch, program, tmp_path):
    """Also by a path from here: it is started elsewhere."""
    other = program("exit 1")
    monkeypatch.chdir(tmp_path)
    assert find(Path(other.name)).program == other


def test_every_rule_that_we_name_is_one_of_squawks(squawk):
    """A later squawk that renames one is noticed here."""
    names = [name for name in RULES if name != UNSWITCHABLE]
    assert squawk.look(["select 1;"], in_transaction=True, excluded=names) == [[]]
    opt_in = [rule.name for rule in RULES.values() if rule.opt_in]
    assert squawk.look(["select 1;"], in_transaction=True, included=opt_in) == [[]]


def test_a_rule_that_squawk_does_not_know_is_told_with_its_own_words(squawk):
    """An older squawk that was named by hand."""
    with pytest.raises(LinterFailedError, match="invalid rule name nonsense"):
        squawk.look(["select 1;"], in_transaction=True, excluded=["nonsense"])


def test_no_variable_of_the_process_reaches_the_program(program, tmp_path, monkeypatch):
    """They hold passwords."""
    monkeypatch.setenv("PGPASSWORD", "s3cret")
    failure(program(f"env > {tmp_path}/seen; exit 1"))
    assert "s3cret" not in (tmp_path / "seen").read_text()


def test_the_temporary_folder_is_private_and_removed(program, tmp_path, monkeypatch):
    """Texts may hold passwords of roles."""
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    script = program(f"pwd > {tmp_path}/where; stat -c %a . > {tmp_path}/mode; exit 1")
    failure(script)
    assert (tmp_path / "mode").read_text().strip() == "700"
    assert not Path((tmp_path / "where").read_text().strip()).exists()
