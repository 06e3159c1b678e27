"""The source: folders of migrations and rollbacks, read once.

Files are ``vMAJOR.MINOR.PATCH_name.sql``; rollbacks are ``vX.Y.Z_rollback.sql`` or
``vX.Y.Z_rollback_name.sql``, in a sub-folder ``rollbacks`` or beside the migrations
(a mounted ConfigMap is flat). What is hashed is what runs: see `Content`.

Several folders are merged; the same file name twice is an error. All problems that
are found are told at once, each with its file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from dbmigrate.errors import DbmigrateError, Location, SourceError
from dbmigrate.migrations.content import Content, read_content
from dbmigrate.migrations.statements import Decoder, decode, excerpt_of
from dbmigrate.migrations.version import Version

ROLLBACKS = "rollbacks"
_MISSPELT = ("rollbacks", "rollback")
_NAME = re.compile(
    r"v(?P<version>[0-9]+\.[0-9]+\.[0-9]+)_(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]*)\.sql", re.ASCII
)
_ROLLBACK = re.compile(r"rollback(?:_(?P<name>.+))?", re.ASCII)
_MAX_PROBLEMS = 20


@dataclass(frozen=True)
class MigrationFile:
    """One file of SQL, as it was read."""

    version: Version
    name: str
    """What stands after the version in its file name, without ``.sql``."""
    file: str
    """Path within its folder: ``v1.0.0_initial.sql`` or ``rollbacks/v1.0.0_rollback.sql``."""
    content: Content = field(repr=False)
    is_rollback: bool = False
    path: str = ""
    """Where it was read, for messages to people."""

    @property
    def shown(self) -> str:
        """Its name in messages."""
        return self.path or self.file

    @property
    def checksum(self) -> str:
        """SHA-256 of the bytes, hexadecimal: equal to what ``sha256sum`` prints."""
        return self.content.checksum

    @property
    def text_checksum(self) -> str:
        """SHA-256 with line ends normalised and no byte order mark.

        A checkout under Windows has another `checksum` but the same `text_checksum`:
        it is not a changed migration.
        """
        return self.content.text_checksum

    @property
    def data(self) -> bytes:
        """The bytes: of a large file, all of them are read into memory.

        Raises:
            RefusedError: code SourceChanged: they are not those that were hashed.
        """
        return b"".join(self.content.read_from(0))

    @property
    def sql(self) -> str:
        """The text: of a large file, all of it is read into memory.

        Raises:
            SourceError: it is not UTF-8.
            RefusedError: code SourceChanged.
        """
        return decode(self.data, self.shown)

    @property
    def head(self) -> str:
        """The text's beginning, or all of it when the file is small.

        Raises:
            SourceError, RefusedError: as `sql`.
        """
        block = next(self.content.read_from(0), b"")
        return Decoder(self.shown).decode(block, is_last=len(block) == self.content.size)

    def excerpt(self, line: int, column: int) -> str:
        """That line with a caret below; empty when there is none, or none any more."""
        try:
            return excerpt_of(self._pieces(), line, column)
        except DbmigrateError:
            return ""

    def _pieces(self) -> Iterator[str]:
        decoder = Decoder(self.shown)
        for block in self.content.read_from(0):
            yield decoder.decode(block)
        yield decoder.decode(b"", is_last=True)


@dataclass(frozen=True)
class Source:
    """All migrations in order, and the rollbacks that there are."""

    migrations: tuple[MigrationFile, ...]
    rollbacks: dict[Version, MigrationFile]
    digest: str
    """What the source is, as a hash over names and checksums; see `digest_of`."""

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
    try:
        version = Version.parse(match["version"])
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
    rollback = _ROLLBACK.fullmatch(match["name"])
    if folder == ROLLBACKS and rollback is None:
        raise SourceError(
            f"{file}: a file in {ROLLBACKS}/ is named vX.Y.Z_rollback[_name].sql",
            code="InvalidFileName",
            hint=f"rename it to {ROLLBACKS}/v{version}_rollback_{match['name']}.sql",
            location=Location(file),
        )
    return version, match["name"], rollback is not None


def _printable(name: str) -> str:
    """A name that is in no message more than one line, nor reads backwards."""
    return name if name.isprintable() else ascii(name)


def read_source(folders: Sequence[Path]) -> Source:
    """Read and check whole folders.

    Raises:
        SourceError: a folder is missing or unreadable, a name does not fit, a version
            or a rollback is there twice, a rollback has no migration, a file is empty
            or not UTF-8, a link leaves its folder. All problems are in its message.
    """
    problems: list[SourceError] = []
    files: list[MigrationFile] = []
    for folder in folders:
        try:
            files.extend(_read_folder(folder, problems))
        except SourceError as error:
            problems.append(error)
    source = assemble(files, problems)
    _raise_all(problems)
    return source


def assemble(files: Iterable[MigrationFile], problems: list[SourceError]) -> Source:
    """Put files in order and check them against each other; problems are appended to the list."""
    seen: dict[str, MigrationFile] = {}
    migrations: dict[Version, MigrationFile] = {}
    rollbacks: dict[Version, MigrationFile] = {}
    for each in files:
        base = each.file.rpartition("/")[2]
        if base in seen:
            problems.append(_twice("file", each, seen[base], "DuplicateFile"))
            continue
        seen[base] = each
        place = rollbacks if each.is_rollback else migrations
        if each.version in place:
            code = "DuplicateRollback" if each.is_rollback else "DuplicateVersion"
            what = f"rollback of {each.version}" if each.is_rollback else f"version {each.version}"
            problems.append(_twice(what, each, place[each.version], code))
            continue
        place[each.version] = each
    for version in sorted(rollbacks.keys() - migrations.keys()):
        orphan = rollbacks[version]
        problems.append(
            SourceError(
                f"{orphan.path or orphan.file}: a rollback, but there is no migration {version}",
                code="RollbackWithoutMigration",
                hint=f"add v{version}_name.sql, or remove the rollback",
                location=Location(orphan.path or orphan.file),
            )
        )
    return Source(
        migrations=tuple(migrations[version] for version in sorted(migrations)),
        rollbacks=rollbacks,
        digest=digest_of((each.file, each.checksum) for each in seen.values()),
    )


def _twice(what: str, one: MigrationFile, other: MigrationFile, code: str) -> SourceError:
    return SourceError(
        f"{what} is there twice: {other.path or other.file} and {one.path or one.file}",
        code=code,
        hint="keep one of them",
        location=Location(one.path or one.file),
    )


def _read_folder(folder: Path, problems: list[SourceError]) -> Iterable[MigrationFile]:
    try:
        root = folder.resolve(strict=True)
        entries = sorted(root.iterdir())
    except OSError as error:
        raise SourceError(
            f"cannot read the folder of migrations {str(folder)!r}: {error.strerror}",
            code="SourceNotFound",
            hint="give the folder by --source DIR",
            location=Location(str(folder)),
        ) from error
    for path in (*entries, *_rollbacks(folder, entries, problems)):
        # Kubernetes mounts a ConfigMap's keys as links into a hidden folder `..data`.
        # A name in capitals (.SQL) is refused below: passed over, it would never be missed.
        if path.suffix.lower() != ".sql" or path.name.startswith("."):
            continue
        file = path.relative_to(root).as_posix()
        try:
            yield _read_file(root, path, file, shown=str(folder / file))
        except SourceError as error:
            problems.append(error)


def _rollbacks(
    folder: Path, entries: Sequence[Path], problems: list[SourceError]
) -> Sequence[Path]:
    """What lies in the folder of rollbacks; one that is misspelt is a problem, not nothing."""
    found: Sequence[Path] = ()
    for path in entries:
        shown = str(folder / path.name)
        if path.name == ROLLBACKS:
            try:
                found = sorted(path.iterdir())
            except OSError as error:
                problems.append(_unreadable(shown, error.strerror))
        elif path.name.lower() in _MISSPELT and path.is_dir():
            problems.append(
                SourceError(
                    f"{shown}: the folder of rollbacks is named {ROLLBACKS}",
                    code="InvalidFileName",
                    hint=f"rename it to {ROLLBACKS}",
                    location=Location(shown),
                )
            )
    return found


def _unreadable(shown: str, why: str | None) -> SourceError:
    return SourceError(
        f"{shown}: cannot be read: {why}", code="UnreadableFile", location=Location(shown)
    )


def _read_file(root: Path, path: Path, file: str, *, shown: str) -> MigrationFile:
    version, name, is_rollback = parse_name(file)
    try:
        target = path.resolve(strict=True)
        if not target.is_relative_to(root):
            raise SourceError(
                f"{shown}: a link that leaves the folder, to {target}",
                code="LinkLeavesFolder",
                hint="put the file itself into the folder",
                location=Location(shown),
            )
        if not target.is_file():
            raise SourceError(
                f"{shown}: not a regular file", code="NotAFile", location=Location(shown)
            )
        content, is_empty = read_content(target, shown)
    except RuntimeError as error:  # what resolve() raises for a loop, before Python 3.13
        raise _unreadable(shown, "a link that leads to itself") from error
    except OSError as error:
        raise _unreadable(shown, error.strerror) from error
    if is_empty:
        raise SourceError(
            f"{shown}: the file is empty",
            code="EmptyFile",
            hint="a migration that does nothing on purpose says so: select 'nothing to do';",
            location=Location(shown),
        )
    return MigrationFile(version, name, file, content, is_rollback=is_rollback, path=shown)


def _raise_all(problems: Sequence[SourceError]) -> None:
    if not problems:
        return
    if len(problems) == 1:
        raise problems[0]
    shown = [f"- {each.message}" for each in problems[:_MAX_PROBLEMS]]
    if len(problems) > _MAX_PROBLEMS:
        shown.append(f"- and {len(problems) - _MAX_PROBLEMS} more")
    first = problems[0]
    raise SourceError(
        f"{len(problems)} problems in the migrations:\n" + "\n".join(shown),
        code=first.error_code,
        hint=first.hint,
        location=first.location,
    )
