"""A small shop, and a check of each kind that its data obey."""

from dbmigrate.api.checks import IntegrityCheck

RELATIONSHIP = {
    "relationship": {
        "table": "shop.orders",
        "columns": ["customer_id"],
        "references": {"table": "shop.customers", "columns": ["id"]},
    }
}

UNIQUE = {"unique": {"table": "shop.customers", "columns": ["email"]}}

PATTERN = {"pattern": {"table": "shop.customers", "column": "email", "regex": "^[^@]+@[^@]+$"}}


def check(body, name="rule", severity="warning"):
    """A check with that body, as a manifest would give it."""
    return IntegrityCheck.model_validate({"name": name, "severity": severity, **body})
