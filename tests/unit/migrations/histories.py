"""Sources and histories for tests of what is decided from them."""

from dbmigrate.migrations.applied import AppliedMigration
from dbmigrate.migrations.content import HeldContent
from dbmigrate.migrations.source import MigrationFile, assemble
from dbmigrate.migrations.version import Version


def file(version, text="select 1;", *, rollback=False, name=None):
    """One file as if read."""
    name = name or ("rollback" if rollback else "name")
    folder = "rollbacks/" if rollback else ""
    return MigrationFile(
        Version.parse(version),
        name,
        f"{folder}v{version}_{name}.sql",
        HeldContent(text if isinstance(text, bytes) else text.encode()),
        is_rollback=rollback,
    )


def source_of(*versions, rollbacks=(), **texts):
    """A source of these versions; rollbacks for some of them."""
    problems = []
    files = [file(each, texts.get("text", "select 1;")) for each in versions]
    files += [file(each, f"undo {each};", rollback=True) for each in rollbacks]
    source = assemble(files, problems)
    assert not problems
    return source


def applied(*versions, text="select 1;", rollback=None, **columns):
    """The history's rows for these versions."""
    rows = []
    for version in versions:
        each = file(version, text)
        rows.append(
            AppliedMigration(
                each.version,
                each.file,
                each.checksum,
                each.text_checksum,
                rollback=rollback,
                **columns,
            )
        )
    return rows


def versions_of(plan):
    """The plan's steps, in order."""
    return [str(step.version) for step in plan.steps]
