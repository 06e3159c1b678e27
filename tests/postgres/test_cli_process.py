"""The runner as a process: signals, streams that break, a bare container."""

import json
import os
import pty
import signal
import subprocess
import time

import pytest

from dbmigrate.api.report.outcome import Outcome

pytestmark = pytest.mark.one_version


@pytest.fixture
def slow_file(database):
    """A migration that makes a table and then takes a minute."""
    database.write("v1.0.0_slow.sql", "create table half (id int);\nselect pg_sleep(60);\n")


SLEEPS = """
    select count(*) = 1 from pg_stat_activity
    where datname = current_database() and query like '%%pg_sleep(60)%%' and state = 'active'
    and pid <> pg_backend_pid()
"""


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
@pytest.mark.usefixtures("slow_file")
def test_a_signal_cancels_the_statement_and_undoes_the_file(database, dbmigrate, signum, code):
    """Within seconds; the lock is free, nothing of the file remains."""
    process = dbmigrate.start("up", "--output", "json")
    database.wait_until(SLEEPS)
    sent = time.monotonic()
    process.send_signal(signum)
    ended = dbmigrate.end(process, timeout=20)
    assert time.monotonic() - sent < 10
    assert ended.code == code
    assert ended.result.outcome is Outcome.INTERRUPTED
    assert not database.has("public.half")
    assert database.value("select count(*) from pg_locks where locktype = 'advisory'") == 0


@pytest.mark.usefixtures("slow_file")
def test_a_second_interrupt_changes_nothing_and_says_what_it_waits_for(database, dbmigrate):
    """Impatience must not cost the report; the third one would leave at once."""
    process = dbmigrate.start("up")
    database.wait_until(SLEEPS)
    process.send_signal(signal.SIGSTOP)  # so that both are there when it goes on
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    ended = dbmigrate.end(process, timeout=20)
    assert ended.code in (130, 143)
    assert "stopping: waiting for the server" in ended.err
    assert "[Interrupted]" in ended.err
    assert not database.has("public.half")


def test_a_reader_that_goes_away_does_not_stop_the_migrations(database, dbmigrate):
    """`dbmigrate up | head -1`: the pipe breaks, the database is migrated all the same."""
    for number in range(30):
        database.write(f"v1.{number}.0_t.sql", f"create table t{number} (id int);\n")
    read, write = os.pipe()
    process = dbmigrate.start("up", "--output", "json", stdout=write)
    os.close(write)
    os.read(read, 10)
    os.close(read)
    ended = dbmigrate.end(process)
    assert ended.code == 0
    assert ended.err == ""
    assert len(database.history()) == 30


@pytest.mark.parametrize("how", [">&-", ">/dev/full", "2>&-", ">&- 2>&-"])
def test_a_closed_or_full_output_does_not_stop_the_migrations(database, dbmigrate, how):
    """Started without stdout, or with a full disk behind it."""
    database.write("v1.0.0_a.sql", "create table a (id int);\n")
    command = " ".join([*dbmigrate.arguments("up"), how])
    done = subprocess.run(
        ["sh", "-c", command], env=dbmigrate.env, cwd=dbmigrate.cwd, check=False, timeout=60,
        capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0
    assert database.has("public.a")
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_help_that_nobody_reads_to_its_end_is_no_error(dbmigrate):
    """`dbmigrate --help | head -1`."""
    command = " ".join([*dbmigrate.arguments("--help"), "| head -1"])
    done = subprocess.run(
        ["sh", "-c", command], env=dbmigrate.env, cwd=dbmigrate.cwd, check=True, timeout=60,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.startswith("Usage: dbmigrate")
    assert done.stderr == ""


def on_a_terminal(dbmigrate, *arguments, **env):
    """What a person sees: everything that is written to a terminal."""
    leader, follower = pty.openpty()
    process = dbmigrate.start(
        *arguments, stdin=follower, stdout=follower, stderr=follower,
        env={"TERM": "xterm-256color", "COLUMNS": "120", **env},
    )  # fmt: skip
    os.close(follower)
    seen = b""
    while True:
        try:
            block = os.read(leader, 4096)
        except OSError:
            break
        if not block:
            break
        seen += block
    os.close(leader)
    return process.wait(60), seen.decode()


def test_a_terminal_gets_colours(database, dbmigrate):
    """And a live line while a file runs."""
    database.write("v1.0.0_a.sql", "create table a (id int);\nselect pg_sleep(0.3);\n")
    code, seen = on_a_terminal(dbmigrate, "up")
    assert code == 0
    assert "\x1b[32m" in seen
    assert "[1/1] v1.0.0_a.sql" in seen
    assert "0:00:0" in seen


def test_a_terminal_that_wants_no_colours_gets_none(database, dbmigrate):
    """NO_COLOR, as no-color.org describes it."""
    database.write("v1.0.0_a.sql", "create table a (id int);\n")
    code, seen = on_a_terminal(dbmigrate, "up", NO_COLOR="1")
    assert code == 0
    assert "\x1b" not in seen


def test_control_characters_of_the_server_do_not_reach_the_terminal(database, dbmigrate):
    """A message could retitle the window or hide lines."""
    database.write("v1.0.0_a.sql", r"do $$ begin raise exception E'\x1b]0;owned\x07'; end $$;")
    ended = dbmigrate("up")
    assert ended.code == 1
    assert "owned" in ended.err
    assert "\x1b" not in ended.err
    assert "\x07" not in ended.err


def test_text_that_the_terminal_cannot_show_does_not_stop_the_run(database, dbmigrate):
    """An ASCII locale and a message in another script."""
    database.write("v1.0.0_a.sql", "do $$ begin raise warning 'предупреждение'; end $$;")
    env = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    assert dbmigrate("up", env=env).code == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_a_bare_container_is_enough(database, dbmigrate):
    """No home, no name for the user, nothing writable, as in the Job's pod."""
    database.write("v1.0.0_a.sql", "create table a (id int);\n")
    # Python may be installed where only root reads: that one right is kept.
    become = [
        "setpriv", "--reuid=65532", "--regid=65532", "--clear-groups",
        "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
    ]  # fmt: skip
    done = subprocess.run(
        [*become, *dbmigrate.arguments("up")], env={**dbmigrate.env, "HOME": "/nonexistent"},
        cwd=dbmigrate.cwd, check=False, timeout=60, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert database.value("select applied_by from schema_migrations").startswith("65532@")


def test_an_unexpected_error_is_one_line(database, dbmigrate, tmp_path):
    """With its details only on request; a broken installation is what is at hand to cause one."""
    database.write("v1.0.0_a.sql", "select 1;\n")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "psycopg.py").write_text("raise LookupError('s3cret')\n")
    env = {"PYTHONPATH": str(tmp_path / "broken")}
    process = dbmigrate.start("status", "--output", "json", env=env)
    ended = dbmigrate.end(process)
    assert ended.code == 1
    assert ended.result.failure.code == "InternalError"
    assert "s3cret" not in ended.out + ended.err
    out, err = dbmigrate.start("status", env={**env, "DBMIGRATE_DEBUG": "1"}).communicate(60)
    assert b"LookupError" in err
    assert b"Traceback" in err
    assert b"[InternalError]" in err
    assert out == b""


def test_each_line_of_json_is_written_when_it_happens(database, dbmigrate):
    """A follower of the log sees the first file done while the second still runs."""
    database.write("v1.0.0_a.sql", "create table a (id int);\n")
    database.write("v1.1.0_b.sql", "select pg_sleep(60);\n")
    process = dbmigrate.start("up", "--output", "json")
    names = []
    while "migrationCompleted" not in names:
        names.append(json.loads(process.stdout.readline())["event"])
    assert process.poll() is None
    process.terminate()
    dbmigrate.end(process)
