"""The sample project's checks, on its data."""

from datetime import timedelta
from pathlib import Path

import pytest

from dbmigrate.migrations.checks import load_checks
from dbmigrate.postgres.integrity.checks import run_checks

SAMPLE = Path(__file__).parents[3] / "migrations"


@pytest.fixture
def exams(database):
    """The sample's first version, where no trigger mends the counts."""
    database.connection.execute((SAMPLE / "v1.0.0_initial_schema.sql").read_bytes())
    return database.connection


def checked(connection):
    """The report, and each check's status and number by its name."""
    report = run_checks(
        connection, load_checks(SAMPLE / "checks.yaml"), statement_timeout=timedelta(seconds=10)
    )
    return report, {r.check: (r.status, r.affected_records) for r in report.results}


def test_passes_on_the_sample_data(exams):
    """Healthy, each check."""
    report, results = checked(exams)
    assert set(results.values()) == {("PASS", 0)}
    assert (report.healthy, report.summary) == (True, "Healthy")


def test_finds_what_is_broken_and_is_healthy_again(exams):
    """Each rule broken once: each is named, with its number; mended, all is well."""
    exams.execute("""
        BEGIN;
        INSERT INTO subjects (name, exam_count) VALUES ('Physics', -1);
        INSERT INTO users (username, email) VALUES ('broken', 'no address');
        INSERT INTO user_sessions (user_name) VALUES ('ghost'), ('ghost');
        UPDATE questions SET difficulty = 'Hard' WHERE id = 1;
        UPDATE questions SET subject_id = 2 WHERE id = 2;
        SET LOCAL session_replication_role = replica;
        INSERT INTO questions (exam_id, subject_id, question_text, options, correct_option)
        VALUES (99, 1, '', '[]', 0);
        UPDATE exams SET subject_id = 98 WHERE id = 4;
        UPDATE subjects SET question_count = -5 WHERE id = 3;
        COMMIT;
    """)
    report, results = checked(exams)
    assert results == {
        "foreign_key_integrity": ("FAIL", 2),
        "questions->exams": ("FAIL", 1),
        "exams->subjects": ("FAIL", 1),
        "user_sessions->users": ("FAIL", 2),
        "subject_question_counts": ("FAIL", 2),
        "subject_exam_counts": ("FAIL", 2),
        "duplicate_subjects": ("FAIL", 2),
        "data_type_validity.email": ("FAIL", 1),
        "data_type_validity.difficulty": ("FAIL", 1),
        "data_type_validity.question_count": ("FAIL", 1),
        "data_type_validity.exam_count": ("FAIL", 1),
        "questions_of_their_exams_subject": ("FAIL", 4),
    }
    assert report.summary == "8 critical, 4 warnings"
    exams.execute("""
        BEGIN;
        DELETE FROM questions WHERE exam_id = 99;
        UPDATE exams SET subject_id = 3 WHERE id = 4;
        UPDATE questions SET subject_id = 1 WHERE id = 2;
        UPDATE questions SET difficulty = 'Beginner' WHERE id = 1;
        DELETE FROM user_sessions WHERE user_name = 'ghost';
        DELETE FROM users WHERE username = 'broken';
        DELETE FROM subjects WHERE exam_count = -1;
        UPDATE subjects SET question_count =
            (SELECT count(*) FROM questions WHERE subject_id = subjects.id);
        COMMIT;
    """)
    report, _ = checked(exams)
    assert report.healthy
