"""The source: migrations and what belongs to them, their names, and how they go together.

Files are ``vMAJOR.MINOR.PATCH_name.sql``; rollbacks are ``vX.Y.Z_rollback.sql`` or
``vX.Y.Z_rollback_name.sql``, in a sub-folder ``rollbacks`` or beside the migrations
(a mounted ConfigMap is flat). In ``repeatable`` any name will do, and a file in ``verify``
begins with the version that it verifies. What is hashed is what runs: see `Content`.

Several folders are merged; the same file name twice is an error. All problems that
are found are told at once, each with its file. Reading them is the matter of `folder`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

from dbmigrate.errors import Location, SourceError
from dbmigrate.migrations.content import Content
from dbmigrate.migrations.files import MigrationFile, RepeatableFile, SourceFile, VerifyFile
from dbmigrate.migrations.version import Version

__all__ = ["MigrationFile", "Source"]

ROLLBACKS = "rollbacks"
REPEATABLE = "repeatable"
VERIFY = "verify"
_ANY_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.sql", re.ASCII)
_NAME = re.compile(
    r"v(?P<version>[0-9]+\.[0-9]+\.[0-9]+)_(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]*)\.sql", re.ASCII
)
_ROLLBACK = re.compile(r"rollback(?:_(?P<name>.+))?", re.ASCII)


@dataclass(frozen=True)
class Source:
    """All migrations in order, and the rollbacks that there are."""

    migrations: tuple[MigrationFile, ...]
    rollbacks: dict[Version, MigrationFile]
    digest: str
    """What the source is, as a hash over names and checksums; see `digest_of`."""
    repeatables: tuple[RepeatableFile, ...] = ()
    """In name order."""
    verifies: dict[Version, tuple[VerifyFile, ...]] = field(default_factory=dict)
    """For each version that has some, in name order."""

    @cached_property
    def by_version(self) -> dict[Version, MigrationFile]:
        """Migrations by their version."""
        return {each.version: each for each in self.migrations}

    @property
    def latest(self) -> Version | None:
        """The newest version, or None for a source without migrations."""
        return self.migrations[-1].version if self.migrations else None


def digest_of(files: Iterable[tuple[str, str]]) -> str:
    """One hash for a source: over each file's path within it and its checksum, in path order.

    The operator computes the same from ConfigMaps, so that a result can be told to
    belong to the source that it was made from. 64 hexadecimal digits.
    """
    total = hashlib.sha256()
    for path, checksum in sorted(files):
        total.update(f"{checksum}  {path}\n".encode())
    return total.hexdigest()


def unique_name(file: str) -> str:
    """What no two files of a source may share, from a path within its folder.

    A rollback may lie in its folder or beside the migrations, which is one place.
    """
    folder, _, base = file.rpartition("/")
    return file if folder in (REPEATABLE, VERIFY) else base


def parse_name(file: str) -> tuple[Version, str, bool]:
    """Version, name and whether it is a rollback, from a path within a source folder.

    Raises:
        SourceError: the name does not fit.
    """
    folder, _, base = file.rpartition("/")
    match = _NAME.fullmatch(base)
    if match is None or folder not in ("", ROLLBACKS):
        raise SourceError(
            f"{_printable(file)}: the name does not fit vMAJOR.MINOR.PATCH_name.sql",
            code="InvalidFileName",
            hint="name it like v1.2.0_add_users.sql, or rollbacks/v1.2.0_rollback_add_users.sql",
            location=Location(_printable(file)),
        )
    version = _version(file, match["version"])
    rollback = _ROLLBACK.fullmatch(match["name"])
    if folder == ROLLBACKS and rollback is None:
        raise SourceError(
            f"{file}: a file in {ROLLBACKS}/ is named vX.Y.Z_rollback[_name].sql",
            code="InvalidFileName",
            hint=f"rename it to {ROLLBACKS}/v{version}_rollback_{match['name']}.sql",
            location=Location(file),
        )
    return version, match["name"], rollback is not None


def _version(file: str, text: str) -> Version:
    try:
        version = Version.parse(text)
    except ValueError as error:
        raise SourceError(
            f"{file}: {error}", code="InvalidFileName", location=Location(file)
        ) from error
    if version == Version(0, 0, 0):
        raise SourceError(
            f"{file}: version 0.0.0 stands for the empty database",
            code="InvalidFileName",
            hint="begin with v0.0.1 or v1.0.0",
            location=Location(file),
        )
    return version


def maker(file: str, shown: str) -> Callable[[Content], SourceFile]:
    """What makes the file of its kind, by where it lies and what it is called.

    Raises:
        SourceError: the name does not fit.
    """
    folder, _, base = file.rpartition("/")
    if folder == REPEATABLE:
        if _ANY_NAME.fullmatch(base) is None:
            raise SourceError(
                f"{_printable(file)}: a name has letters, digits, '_', '.' and '-' only",
                code="InvalidFileName",
                hint="name it like repeatable/views.sql",
                location=Location(_printable(file)),
            )
        return lambda content: RepeatableFile(file, content, path=shown)
    if folder == VERIFY:
        match = _NAME.fullmatch(base)
        if match is None:
            raise SourceError(
                f"{_printable(file)}: the name does not fit verify/vMAJOR.MINOR.PATCH_name.sql",
                code="InvalidFileName",
                hint="begin with the version of the migration that it verifies",
                location=Location(_printable(file)),
            )
        verified = _version(file, match["version"])
        return lambda content: VerifyFile(verified, file, content, path=shown)
    version, name, is_rollback = parse_name(file)
    return lambda content: MigrationFile(
        version, name, file, content, is_rollback=is_rollback, path=shown
    )


def _printable(name: str) -> str:
    """A name that is in no message more than one line, nor reads backwards."""
    return name if name.isprintable() else ascii(name)


def assemble(files: Iterable[SourceFile], problems: list[SourceError]) -> Source:
    """Put files in order and check them against each other; problems are appended to the list."""
    seen: dict[str, SourceFile] = {}
    migrations: dict[Version, MigrationFile] = {}
    rollbacks: dict[Version, MigrationFile] = {}
    repeatables: list[RepeatableFile] = []
    verifies: dict[Version, list[VerifyFile]] = {}
    for each in files:
        name = unique_name(each.file)
        if name in seen:
            problems.append(_twice("file", each, seen[name], "DuplicateFile"))
            continue
        seen[name] = each
        if isinstance(each, RepeatableFile):
            repeatables.append(each)
        elif isinstance(each, VerifyFile):
            verifies.setdefault(each.version, []).append(each)
        elif isinstance(each, MigrationFile):
            place = rollbacks if each.is_rollback else migrations
            if each.version in place:
                code = "DuplicateRollback" if each.is_rollback else "DuplicateVersion"
                what = "rollback of" if each.is_rollback else "version"
                other = place[each.version]
                problems.append(_twice(f"{what} {each.version}", each, other, code))
                continue
            place[each.version] = each
    problems += (
        _orphan(rollbacks[v], v, "rollback") for v in sorted(rollbacks.keys() - migrations)
    )
    problems += (
        _orphan(each, v, "verification")
        for v in sorted(verifies.keys() - migrations.keys())
        for each in verifies[v]
    )
    return Source(
        migrations=tuple(migrations[version] for version in sorted(migrations)),
        rollbacks=rollbacks,
        digest=digest_of((each.file, each.checksum) for each in seen.values()),
        repeatables=tuple(sorted(repeatables, key=lambda each: each.file)),
        verifies={
            version: tuple(sorted(found, key=lambda each: each.file))
            for version, found in verifies.items()
        },
    )


def _orphan(file: SourceFile, version: Version, what: str) -> SourceError:
    return SourceError(
        f"{file.shown}: a {what}, but there is no migration {version}",
        code="RollbackWithoutMigration" if what == "rollback" else "VerifyWithoutMigration",
        hint=f"add v{version}_name.sql, or remove the {what}",
        location=Location(file.shown),
    )


def _twice(what: str, one: SourceFile, other: SourceFile, code: str) -> SourceError:
    return SourceError(
        f"{what} is there twice: {other.shown} and {one.shown}",
        code=code,
        hint="keep one of them",
        location=Location(one.shown),
    )
