"""What the linter finds in a Job: told by the resource, or stopped before anything is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster.awaiting import until
from tests.cluster.migration import condition_of, table

if TYPE_CHECKING:
    from tests.cluster.kubectl import Kubectl
    from tests.cluster.migration import Migration
    from tests.cluster.postgres import Database

HARM = "ALTER TABLE t1\n    DROP COLUMN note;\n"
MEANT = "ALTER TABLE t1\n    -- squawk-ignore ban-drop-column\n    DROP COLUMN note;\n"
NOTE = (
    "SELECT count(*) FROM information_schema.columns"
    " WHERE table_name = 't1' AND column_name = 'note'"
)


def test_findings_are_in_the_status_and_an_event_and_the_migration_goes_on(
    migration: Migration, database: Database, kubectl: Kubectl
) -> None:
    """By default; the linter works in the image, in a restricted pod."""
    migration.files({"v1.1.0_table.sql": table(1), "v1.2.0_harm.sql": HARM})
    migration.apply()

    status = migration.await_phase("Succeeded", version="1.2.0")

    lint = status["lint"]
    assert (lint["level"], lint["refusing"], lint["reported"], lint["gaps"]) == ("report", 0, 1, 0)
    (found,) = lint["findings"]
    assert (found["rule"], found["level"]) == ("ban-drop-column", "report")
    assert (found["file"], found["line"], found["column"]) == ("v1.2.0_harm.sql", 2, 5)
    assert database.query(NOTE) == [(0,)]

    def told() -> bool:
        events = kubectl.json("get", "events", "--field-selector=reason=LintFindings")["items"]
        return any("v1.2.0_harm.sql:2 ban-drop-column" in each["message"] for each in events)

    until(told, "an Event tells the finding")


def test_a_finding_refuses_where_the_resource_says_so_until_it_is_meant(
    migration: Migration, database: Database
) -> None:
    """Nothing is touched; the file's comment lets it through."""
    migration.files({"v1.1.0_table.sql": table(1)})
    migration.apply(lint={"level": "Refuse"})
    migration.await_phase("Succeeded", version="1.1.0")

    migration.files({"v1.1.0_table.sql": table(1), "v1.2.0_harm.sql": HARM})
    status = migration.await_phase("Blocked", version="1.1.0")
    assert condition_of(status, "Stalled")["reason"] == "LintRefused"
    assert "v1.2.0_harm.sql:2:5" in status["message"]
    assert (status["failure"]["file"], status["failure"]["line"]) == ("v1.2.0_harm.sql", 2)
    assert status["failure"]["touched"] is False
    assert status["lint"]["refusing"] == 1
    assert database.query(NOTE) == [(1,)]

    migration.files({"v1.1.0_table.sql": table(1), "v1.2.0_harm.sql": MEANT})
    migration.await_phase("Succeeded", version="1.2.0")
    assert database.query(NOTE) == [(0,)]


def test_a_rule_of_the_resource_rules_over_its_own_level(
    migration: Migration, database: Database
) -> None:
    """And a misspelt one is said, before anything runs."""
    migration.files({"v1.1.0_table.sql": table(1), "v1.2.0_harm.sql": HARM})
    migration.apply(lint={"level": "Refuse", "rules": {"ban-drop-colum": "Ignore"}})
    status = migration.await_phase("Blocked")
    assert condition_of(status, "Stalled")["reason"] == "InvalidSetting"
    assert "did you mean ban-drop-column?" in status["message"].lower()

    migration.apply(lint={"level": "Refuse", "rules": {"ban-drop-column": "Ignore"}})
    status = migration.await_phase("Succeeded", version="1.2.0")
    assert "findings" not in status["lint"] or status["lint"]["findings"] == []
    assert database.query(NOTE) == [(0,)]
