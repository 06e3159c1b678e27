"""The kinds of files that a source has; each is SQL as it was read, see `Content`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field

from dbmigrate.api.report.plan import Direction
from dbmigrate.errors import DbmigrateError
from dbmigrate.migrations.content import Content
from dbmigrate.migrations.statements import Decoder, decode, excerpt_of
from dbmigrate.migrations.version import Version


class SourceFile(ABC):
    """One file of SQL, as it was read."""

    file: str
    """Path within its folder: ``v1.0.0_initial.sql`` or ``rollbacks/v1.0.0_rollback.sql``."""
    content: Content
    path: str
    """Where it was read, for messages to people."""

    @property
    @abstractmethod
    def direction(self) -> Direction:
        """What running it is, for the history."""

    @property
    @abstractmethod
    def version_text(self) -> str:
        """Its version; empty for a file that has none."""

    @property
    def key(self) -> str:
        """What the history and the ledger know it by: its version, or else its path."""
        return self.version_text or self.file

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
class MigrationFile(SourceFile):
    """A migration, or the rollback of one."""

    version: Version
    name: str
    """What stands after the version in its file name, without ``.sql``."""
    file: str
    content: Content = field(repr=False)
    is_rollback: bool = False
    path: str = ""

    @property
    def direction(self) -> Direction:
        """Forward, or a rollback."""
        return Direction.ROLLBACK if self.is_rollback else Direction.FORWARD

    @property
    def version_text(self) -> str:
        """The version without ``v``."""
        return str(self.version)


@dataclass(frozen=True)
class RepeatableFile(SourceFile):
    """A file that runs whenever it has changed: views, functions, grants."""

    file: str
    content: Content = field(repr=False)
    path: str = ""

    @property
    def direction(self) -> Direction:
        """Repeatable."""
        return Direction.REPEATABLE

    @property
    def version_text(self) -> str:
        """Empty: it has none."""
        return ""


@dataclass(frozen=True)
class VerifyFile(SourceFile):
    """What is asked of the database when a migration has run; its effects are undone."""

    version: Version
    file: str
    content: Content = field(repr=False)
    path: str = ""

    @property
    def direction(self) -> Direction:
        """That of its migration."""
        return Direction.FORWARD

    @property
    def version_text(self) -> str:
        """Its migration's version without ``v``."""
        return str(self.version)
