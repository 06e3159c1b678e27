"""The API server refuses what cannot be right, with messages that a person understands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.kubectl import Kubectl, KubectlError

if TYPE_CHECKING:
    from tests.cluster.operator import Operator
    from tests.cluster.target import Cluster

VALID: dict[str, Any] = {
    "environment": "production",
    "database": {"secretRef": {"name": "exams-db"}},
    "source": {"configMaps": [{"name": "exams-sql"}]},
}
CHECK = {"name": "subjects", "unique": {"table": "subjects", "columns": ["name"]}}

CASES: list[tuple[str, dict[str, Any], str]] = [
    ("no environment", {"environment": None}, "spec.environment: Required value"),
    ("an environment in capitals", {"environment": "Prod"}, "such as production"),
    ("no database", {"database": None}, "spec.database: Required value"),
    ("no Secret", {"database": {}}, "spec.database.secretRef: Required value"),
    (
        "a password in the manifest",
        {"database": {"secretRef": {"name": "x"}, "password": "hunter2"}},
        'unknown field "spec.database.password"',
    ),
    (
        "PostgreSQL's own schema",
        {"database": {"secretRef": {"name": "x"}, "historySchema": "pg_catalog"}},
        "pg_ is PostgreSQL's own",
    ),
    (
        "a schema that needs quotes",
        {"database": {"secretRef": {"name": "x"}, "historySchema": "My Schema"}},
        "lower-case letters, digits and '_'",
    ),
    ("no source", {"source": None}, "spec.source: Required value"),
    ("an empty source", {"source": {}}, "name at least one ConfigMap"),
    (
        "a ConfigMap twice",
        {"source": {"configMaps": [{"name": "a"}, {"name": "a"}]}},
        "Duplicate value",
    ),
    (
        "an unknown folder",
        {"source": {"configMaps": [{"name": "a", "path": "sql"}]}},
        'supported values: "", "rollbacks", "repeatable", "verify"',
    ),
    (
        "a ConfigMap's name that cannot be",
        {"source": {"configMaps": [{"name": "Exams_SQL"}]}},
        "a name has lower-case letters",
    ),
    (
        "an inline file without a version",
        {"source": {"inline": {"users.sql": "select 1"}}},
        "file names are vMAJOR.MINOR.PATCH_name.sql",
    ),
    ("an empty inline file", {"source": {"inline": {"v1.0.0_a.sql": ""}}}, "should be at least 1"),
    ("a target that is no version", {"targetVersion": "1.5"}, "a target is latest, 0, or"),
    ("a number as target", {"targetVersion": 1.5}, "must be of type string"),
    ("suspend as a word", {"suspend": "yes"}, "must be of type boolean"),
    ("a duration without a unit", {"execution": {"lockTimeout": "5"}}, "500ms, 30s, 5m or 1h30m"),
    ("a negative limit", {"execution": {"retryLimit": -1}}, "should be greater than or equal to 0"),
    ("an interval in words", {"verifyInterval": "daily"}, "an interval is never, or like 30m"),
    ("off as YAML reads it", {"verifyInterval": False}, "must be of type string"),
    (
        "an inline file in an unknown folder",
        {"source": {"inline": {"views/a.sql": "select 1"}}},
        "repeatable/name.sql",
    ),
    (
        "a setting that has a field",
        {"execution": {"settings": {"lock_timeout": "1s"}}},
        "execution.lockTimeout",
    ),
    (
        "a setting with a blank in its name",
        {"execution": {"settings": {"work mem": "1MB"}}},
        "a setting's name is that of a parameter",
    ),
    (
        "a size in another unit",
        {"rollback": {"keepLimit": "256MB"}},
        "a size is written like 512Ki, 256Mi or 2Gi",
    ),
    ("a backup without a name", {"rollback": {"backupCovers": " "}}, "name the backup"),
    ("a check of no kind", {"integrityChecks": [{"name": "empty"}]}, "exactly one"),
    ("two checks of one name", {"integrityChecks": [CHECK, CHECK]}, "Duplicate value"),
    (
        "an unknown severity",
        {"integrityChecks": [{**CHECK, "severity": "fatal"}]},
        'supported values: "critical", "warning", "info"',
    ),
    ("a misspelt field", {"maintenanceWindow": []}, 'unknown field "spec.maintenanceWindow"'),
]


@pytest.fixture(scope="module")
def api(cluster: Cluster, operator: Operator) -> Kubectl:  # noqa: ARG001
    """kubectl, with the CRD of this tree installed by the chart."""
    return cluster.kubectl.within("default")


def manifest(changed: dict[str, Any]) -> str:
    """A manifest that is right but for what is changed; None takes a field away."""
    spec = {key: value for key, value in {**VALID, **changed}.items() if value is not None}
    return json.dumps(
        {
            "apiVersion": "dbmigrate.dev/v1alpha1",
            "kind": "DatabaseMigration",
            "metadata": {"name": "exams"},
            "spec": spec,
        }
    )


def dry_run(api: Kubectl, text: str) -> str:
    """What the API server makes of a manifest, without keeping it."""
    return api("create", "--dry-run=server", "--validate=strict", "--filename=-", stdin=text)


@pytest.mark.parametrize(
    ("changed", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_it_is_refused_with_a_message_that_helps(
    api: Kubectl, changed: dict[str, Any], message: str
) -> None:
    """Each mistake is named where it stands."""
    with pytest.raises(KubectlError) as refusal:
        dry_run(api, manifest(changed))

    assert message in str(refusal.value)


def test_the_manifest_without_a_mistake_is_accepted(api: Kubectl) -> None:
    """What the cases change is right to begin with."""
    assert "created" in dry_run(api, manifest({}))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"environment": "staging"}, "environment cannot be changed"),
        (
            {"database": {"secretRef": {"name": "exams-db"}, "historySchema": "other"}},
            "historySchema cannot be changed",
        ),
    ],
)
def test_what_the_history_hangs_on_cannot_be_changed(
    api: Kubectl, namespace: str, changed: dict[str, Any], message: str
) -> None:
    """Another environment or another history schema is another resource."""
    mine = api.within(namespace)
    mine("create", "--filename=-", stdin=manifest({}))

    with pytest.raises(KubectlError) as refusal:
        mine("replace", "--filename=-", stdin=manifest(changed))

    assert message in str(refusal.value)


def test_a_name_that_is_too_long_is_refused(api: Kubectl) -> None:
    """63 characters, as labels have."""
    text = manifest({}).replace('"exams"', f'"{"x" * 64}"')

    with pytest.raises(KubectlError, match="the name is too long"):
        dry_run(api, text)


def test_explain_describes_every_field(api: Kubectl) -> None:
    """`kubectl explain --recursive` knows all fields, and each has a description in the CRD."""
    crd = api.json("get", "crd", "databasemigrations.dbmigrate.dev")
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]

    def undescribed(node: dict[str, Any], path: str) -> list[str]:
        found = [] if node.get("description") else [path]
        for name, child in node.get("properties", {}).items():
            found += undescribed(child, f"{path}.{name}")
        if node.get("items", {}).get("properties"):
            found += undescribed(node["items"], f"{path}[]")
        return found

    assert undescribed(schema["spec"], "spec") == []
    assert undescribed(schema["status"], "status") == []
    assert "historySchema" in api("explain", "databasemigrations.spec.database")
