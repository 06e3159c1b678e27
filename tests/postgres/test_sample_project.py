"""The sample project does what its README says: every version up, down and up again, data kept.

The engine takes part in one test only; for the others each file is one transaction, as a runner
opens it.
"""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest

from dbmigrate.api.report.outcome import Outcome

SAMPLE = Path(__file__).parents[2] / "migrations"
MIGRATIONS = sorted(SAMPLE.glob("v*.sql"))  # v1.0.0 to v1.6.0 sort as text, too
VERSIONS = [path.name.split("_")[0] for path in MIGRATIONS]


def rollback_of(version):
    """The version's one rollback, whichever of the two forms its name has."""
    names = re.compile(rf"{re.escape(version)}_rollback(_[a-z_]+)?\.sql")
    (path,) = (p for p in (SAMPLE / "rollbacks").iterdir() if names.fullmatch(p.name))
    return path


def apply(connection, path):
    """Runs a file in one transaction; gives the warnings."""
    warnings = []

    def listen(notice):
        if notice.severity_nonlocalized == "WARNING":
            warnings.append(notice.message_primary)

    connection.add_notice_handler(listen)
    try:
        with connection.transaction():
            connection.execute(path.read_bytes())
    finally:
        connection.remove_notice_handler(listen)
    return warnings


def down(connection, versions):
    """Undoes these versions, newest first; gives the warnings."""
    return [w for version in reversed(versions) for w in apply(connection, rollback_of(version))]


def up(connection, migrations=MIGRATIONS):
    """Applies these files in order."""
    for path in migrations:
        apply(connection, path)


def dump(database):
    """The schema as pg_dump writes it, without the bookkeeping."""
    command = [database.server.programs / "pg_dump", "--schema-only"]
    command += ["--exclude-table=rollback_data_log", "--dbname", database.server.uri(database.name)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    # The key of \\restrict differs from dump to dump.
    lines = done.stdout.splitlines(keepends=True)
    return "".join(line for line in lines if "restrict " not in line)


def rows(connection, query):
    """All rows of a query."""
    return connection.execute(query).fetchall()


@pytest.fixture
def exams(database):
    """An empty database with what the runner makes before any rollback runs."""
    database.connection.execute("""
        CREATE TABLE public.rollback_data_log (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            rollback_version text NOT NULL,
            table_name text NOT NULL,
            data_snapshot jsonb,
            created_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    return database.connection


def test_every_version_has_a_rollback_and_both_forms_of_name_are_shown():
    """v1.0.0 to v1.6.0; some rollbacks carry a name, some do not."""
    assert [f"v1.{minor}.0" for minor in range(7)] == VERSIONS
    names = {rollback_of(version).name for version in VERSIONS}
    assert {path.name for path in (SAMPLE / "rollbacks").iterdir()} == names
    assert any(name.endswith("_rollback.sql") for name in names)
    assert any(not name.endswith("_rollback.sql") for name in names)


def test_each_version_is_undone_to_the_letter(exams, database):
    """After up and down the schema is what it was; after up again, what it had become."""
    before = dump(database)
    for path, version in zip(MIGRATIONS, VERSIONS, strict=True):
        apply(exams, path)
        after = dump(database)
        apply(exams, rollback_of(version))
        assert dump(database) == before, version
        apply(exams, path)
        assert dump(database) == after, version
        before = after


def test_all_goes_down_with_data_and_comes_up_again(exams, database):
    """Seven down, newest first, then seven up: the same schema."""
    empty = dump(database)
    up(exams)
    full = dump(database)
    down(exams, VERSIONS)
    assert dump(database) == empty
    up(exams)
    assert dump(database) == full


def test_a_rollback_warns_and_keeps_each_row_that_goes(exams):
    """The number in the warning is the number of rows in rollback_data_log."""
    up(exams)
    exams.execute('SELECT public.set_user_preferences(1, \'{"theme": "dark", "size": 12}\')')
    exams.execute("UPDATE public.users SET timezone = 'America/Port-au-Prince' WHERE id = 2")
    assert apply(exams, rollback_of("v1.6.0")) == [
        "dropping user_preferences: 2 rows kept in rollback_data_log",
        "dropping users.timezone: 1 values other than UTC kept in rollback_data_log",
    ]
    assert rows(
        exams,
        "SELECT rollback_version, table_name, data_snapshot ->> 'preference_key',"
        " data_snapshot ->> 'timezone' FROM public.rollback_data_log ORDER BY id",
    ) == [
        ("v1.6.0", "public.user_preferences", "size", None),
        ("v1.6.0", "public.user_preferences", "theme", None),
        ("v1.6.0", "public.users", None, "America/Port-au-Prince"),
    ]


def test_a_rollback_without_loss_neither_warns_nor_logs(exams):
    """Nothing to lose, nothing said."""
    up(exams)
    assert apply(exams, rollback_of("v1.6.0")) == []
    assert rows(exams, "SELECT count(*) FROM public.rollback_data_log") == [(0,)]


def test_what_was_kept_can_be_put_back(exams):
    """By the query in the sample's README."""
    up(exams)
    exams.execute('SELECT public.set_user_preferences(1, \'{"theme": "dark", "size": 12}\')')
    kept = rows(exams, "SELECT * FROM public.user_preferences ORDER BY 1, 2")
    apply(exams, rollback_of("v1.6.0"))
    apply(exams, MIGRATIONS[-1])
    (query,) = re.findall(
        r"```sql\n(INSERT.*?)```", (SAMPLE / "README.md").read_text(), flags=re.DOTALL
    )
    exams.execute(query.encode())
    assert rows(exams, "SELECT * FROM public.user_preferences ORDER BY 1, 2") == kept


def test_every_row_of_the_first_version_is_kept(exams):
    """Down to nothing: each table's rows are all in the log."""
    apply(exams, MIGRATIONS[0])
    tables = ["subjects", "exams", "questions", "users", "user_sessions"]
    counts = {f"public.{t}": rows(exams, f"SELECT count(*) FROM public.{t}")[0][0] for t in tables}
    apply(exams, rollback_of("v1.0.0"))
    logged = "SELECT table_name, count(*) FROM public.rollback_data_log GROUP BY table_name"
    assert dict(rows(exams, logged)) == counts


def test_addresses_and_options_survive_the_change_of_types_and_back(exams):
    """Inet and jsonb, and text again: the same values, no /32 added."""
    up(exams, MIGRATIONS[:5])
    addresses = "SELECT id, ip_address FROM public.user_sessions ORDER BY id"
    options = "SELECT id, options::jsonb FROM public.questions ORDER BY id"
    exams.execute("UPDATE public.user_sessions SET ip_address = '10.1.0.0/16' WHERE id = 3")
    before = rows(exams, addresses), rows(exams, options)
    apply(exams, MIGRATIONS[5])
    apply(exams, rollback_of("v1.5.0"))
    assert (rows(exams, addresses), rows(exams, options)) == before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            "UPDATE public.user_sessions SET ip_address = 'somewhere' WHERE id IN (2, 3)",
            "user_sessions.ip_address holds what is no address: ids 2, 3",
        ),
        (
            "UPDATE public.questions SET options = '{}' WHERE id = 4",
            "questions.options holds what is no JSON array: ids 4",
        ),
        (
            "UPDATE public.questions SET options = 'yes, no' WHERE id = 5",
            "questions.options holds what is no JSON array: ids 5",
        ),
    ],
)
def test_values_in_the_way_of_a_type_are_named_before_anything_changes(exams, damage, message):
    """The rows' keys, rather than one value that would not convert."""
    up(exams, MIGRATIONS[:5])
    exams.execute(damage)
    with pytest.raises(psycopg.errors.RaiseException, match=message):
        apply(exams, MIGRATIONS[5])


def test_a_column_that_was_added_by_hand_is_taken_over(exams):
    """The guarded step of v1.6.0: there already, and as it should be."""
    up(exams, MIGRATIONS[:6])
    exams.execute("ALTER TABLE public.users ADD COLUMN timezone text NOT NULL DEFAULT 'UTC'")
    apply(exams, MIGRATIONS[6])
    with pytest.raises(psycopg.errors.CheckViolation):
        exams.execute("UPDATE public.users SET timezone = 'not a zone!'")


@pytest.mark.parametrize(
    ("obstacle", "message"),
    [
        (
            "ALTER TABLE public.users ADD COLUMN timezone varchar(50) DEFAULT 'UTC'",
            'timezone is missing, or not "text NOT NULL"',
        ),
        (
            (
                "CREATE TABLE public.user_preferences (user_id bigint, preference_key text,"
                " preference_value jsonb, updated_at timestamptz)"
            ),
            "public.user_preferences lacks its primary key",
        ),
    ],
)
def test_what_is_there_but_not_as_it_should_be_stops_the_migration(exams, obstacle, message):
    """IF NOT EXISTS is content with a name; the verification block is not."""
    up(exams, MIGRATIONS[:6])
    exams.execute(obstacle)
    with pytest.raises(psycopg.errors.RaiseException, match=message):
        apply(exams, MIGRATIONS[6])


def test_objects_of_the_same_name_elsewhere_do_not_mislead(exams):
    """The catalogue is asked by schema and table."""
    up(exams, MIGRATIONS[:6])
    exams.execute("""
        CREATE SCHEMA other;
        CREATE TABLE other.users (timezone text CONSTRAINT users_timezone_check CHECK (true));
        CREATE TABLE other.user_preferences (x int);
    """)
    apply(exams, MIGRATIONS[6])
    assert rows(exams, "SELECT DISTINCT timezone FROM public.users") == [("UTC",)]


def test_stored_counts_follow_every_kind_of_change(exams):
    """Insert, move, delete, cascade and truncate; the counts stay what they count."""
    up(exams)
    wrong = """
        SELECT name FROM public.subjects AS s
        WHERE question_count <> (SELECT count(*) FROM public.questions WHERE subject_id = s.id)
           OR exam_count <> (SELECT count(*) FROM public.exams WHERE subject_id = s.id)
    """
    for change in (
        (
            "INSERT INTO public.questions"
            " (exam_id, subject_id, question_text, options, correct_option)"
            " SELECT 1, 1, n::text, '[]', 0 FROM generate_series(1, 50) AS n"
        ),
        "UPDATE public.questions SET subject_id = 2 WHERE id > 30",
        "INSERT INTO public.exams (subject_id, title, duration_minutes) VALUES (3, 'Networks', 30)",
        "DELETE FROM public.questions WHERE id < 5",
        "DELETE FROM public.exams WHERE id = 1",
        "TRUNCATE public.questions",
    ):
        assert exams.execute(change).rowcount != 0
        assert rows(exams, wrong) == [], change
    assert rows(exams, "SELECT sum(question_count) FROM public.subjects") == [(0,)]


def test_audit_names_what_changed_and_no_secret(exams):
    """Who, what, which columns; of a password's hash only that it changed; append-only."""
    up(exams)
    exams.execute("UPDATE public.users SET email = 'new@example.com' WHERE id = 1")
    exams.execute(
        "UPDATE public.user_credentials SET password_hash = '$argon2id$x' WHERE user_id = 1"
    )
    exams.execute("DELETE FROM public.users WHERE id = 2")
    assert rows(
        exams, "SELECT table_name, action, user_id, changes FROM public.audit_events ORDER BY id"
    ) == [
        ("public.users", "UPDATE", 1, {"email": "new@example.com"}),
        ("public.user_credentials", "UPDATE", 1, {"password_hash": "changed"}),
        ("public.users", "DELETE", 2, {}),
        ("public.user_credentials", "DELETE", 2, {}),
    ]  # fmt: skip
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        exams.execute("DELETE FROM public.audit_events")


def test_five_failures_lock_an_account_and_a_success_frees_it(exams):
    """What record_sign_in promises."""
    up(exams)
    fail = "SELECT public.record_sign_in('student-01', false) > now()"
    assert [rows(exams, fail) for _ in range(5)] == [[(None,)]] * 4 + [[(True,)]]
    assert rows(exams, "SELECT public.record_sign_in('student-01', true)") == [(None,)]


def test_the_engine_takes_the_sample_up_and_down_and_up(database):
    """The history says what the files are; nothing of the sample is left in between."""
    shutil.copytree(SAMPLE, database.folder, dirs_exist_ok=True)
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in MIGRATIONS]
    live = "SELECT checksum FROM schema_migrations WHERE status = 'completed'"
    live += " AND migration_type = 'forward' ORDER BY id"
    for _ in range(2):
        assert database.run("up").outcome is Outcome.SUCCEEDED
        assert [sum_ for (sum_,) in database.rows(live)] == sums
        assert database.run("down", "0").outcome is Outcome.SUCCEEDED
        assert not database.has("public.users")
    assert database.value("SELECT count(*) FROM rollback_data_log") > 0


def test_no_file_manages_transactions_itself():
    """Each is one transaction of the runner's."""
    for path in [*MIGRATIONS, *(SAMPLE / "rollbacks").iterdir()]:
        outside = re.sub(r"\$(\w+)\$.*?\$\1\$", "", path.read_text(), flags=re.DOTALL)
        assert not re.search(r"^\s*(BEGIN|COMMIT|ROLLBACK)\b", outside, flags=re.MULTILINE)
