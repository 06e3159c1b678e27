"""What the linter finds in the migrations of these tests."""

HARMFUL = "alter table users\n  drop column name;\n"

DROPPED = ("v1.2.0_harm.sql", 2, "ban-drop-column")
INDEX = ("v1.2.0_rollback.sql", 2, "require-concurrent-index-creation")


def found(result):
    """File, line and rule of each finding."""
    return [(each.file.rpartition("/")[2], each.line, each.rule) for each in result.lint.findings]
