"""What a list of integrity checks may say, in a manifest and in the file beside the migrations."""

import pytest
from pydantic import ValidationError

from dbmigrate.api.checks import KINDS, IntegrityCheck, IntegrityCheckFile

BODIES = {
    "relationship": {
        "table": "shop.orders",
        "columns": ["customer_id"],
        "references": {"table": "shop.customers", "columns": ["id"]},
    },
    "foreignKeys": {},
    "storedCount": {
        "table": "customers",
        "column": "orders",
        "key": ["id"],
        "counts": {"table": "orders", "columns": ["customer_id"]},
    },
    "unique": {"table": "customers", "columns": ["email"]},
    "acceptedValues": {"table": "customers", "column": "tier", "values": ["gold", 1]},
    "pattern": {"table": "customers", "column": "email", "regex": "@"},
    "range": {"table": "customers", "column": "score", "min": 0},
    "query": {"sql": "SELECT 1"},
}


def parse(**fields):
    """A check as a manifest would give it."""
    return IntegrityCheck.model_validate({"name": "rule", **fields})


@pytest.mark.parametrize("kind", BODIES)
def test_each_kind_is_accepted_and_comes_back_as_it_was(kind):
    """What is not given is not written, but for the severity."""
    check = parse(**{kind: BODIES[kind]})
    data = check.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    assert data == {"name": "rule", kind: BODIES[kind]}
    assert check.severity == "warning"


def test_every_kind_is_tried_here():
    """A new kind comes with its case."""
    assert len(BODIES) == len(KINDS)


def test_no_kind_is_refused():
    """A check without a rule would always pass."""
    with pytest.raises(ValidationError, match="exactly one of relationship, foreignKeys"):
        parse()


def test_two_kinds_are_refused():
    """Whose result would it be?"""
    with pytest.raises(ValidationError, match="exactly one of"):
        parse(unique=BODIES["unique"], query=BODIES["query"])


@pytest.mark.parametrize("name", ["foreign_key_integrity", "questions->exams", "a.b-c", "1"])
def test_names_that_people_use_are_accepted(name):
    """Letters, digits, and _ . - > within."""
    assert parse(name=name, query=BODIES["query"]).name == name


@pytest.mark.parametrize("name", ["", "-a", "a>", "two words", "a/b", "x" * 64, "a\n"])
def test_other_names_are_refused(name):
    """They stand in statuses, notifications and tables."""
    with pytest.raises(ValidationError):
        parse(name=name, query=BODIES["query"])


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("relationship", {"columns": ["a", "b"]}),
        ("relationship", {"columns": []}),
        ("relationship", {"table": "a.b.c"}),
        ("relationship", {"table": 'a"b'}),
        ("storedCount", {"key": ["a", "b"]}),
        ("range", {"min": None}),
        ("range", {"min": True}),
        ("range", {"min": 0.5}),
        ("range", {"min": "x" * 257}),
        ("acceptedValues", {"values": []}),
        ("unique", {"where": "x"}),
        ("query", {"sql": ""}),
    ],
)
def test_bodies_that_mean_nothing_are_refused(kind, change):
    """Rather than run and pass."""
    with pytest.raises(ValidationError):
        parse(**{kind: {**BODIES[kind], **change}})


def test_an_unknown_severity_is_refused():
    """A failure that counts for nothing would look healthy."""
    with pytest.raises(ValidationError, match="critical"):
        parse(severity="fatal", query=BODIES["query"])


def test_two_checks_of_one_name_are_refused():
    """A result is found by its check's name."""
    check = {"name": "rule", "query": BODIES["query"]}
    with pytest.raises(ValidationError, match="two checks are named 'rule'"):
        IntegrityCheckFile.model_validate({"integrityChecks": [check, check]})
