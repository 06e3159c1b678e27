"""Finds the file of each of another tool's migrations, and compares the two.

Pure. What cannot be found, differs or is left over is collected as sentences; what is made
of them is `dbmigrate.migrations.adoption`'s matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from dbmigrate.migrations.amend import Recorded
from dbmigrate.migrations.applied import ADOPTED, BASELINE
from dbmigrate.migrations.foreign import (
    DigestOf,
    Digests,
    ForeignHistory,
    ForeignMigration,
    fits,
    no_digests,
    version_of,
)
from dbmigrate.migrations.originals import Original, canonical, has_same_statements
from dbmigrate.migrations.source import MigrationFile, Source
from dbmigrate.migrations.version import Version


@dataclass(frozen=True, slots=True)
class Adopted:
    """A file that is recorded as applied by another tool."""

    record: Recorded
    origin: str
    proof: str
    """By what it was matched: checksum, map, version, name; or what covers it."""
    foreign: tuple[ForeignMigration, ...] = ()
    """In the order of their application; empty for what lies below a pointer or baseline."""

    @property
    def last(self) -> ForeignMigration | None:
        """The one that made the file whole."""
        return self.foreign[-1] if self.foreign else None

    @property
    def foreign_id(self) -> str:
        """What the other tool calls it."""
        return ", ".join(each.key for each in self.foreign)


@dataclass(frozen=True, slots=True)
class Evidence:
    """By what files are compared with what the tool ran."""

    digests: DigestOf = no_digests
    """Makes the tool's own checksums."""
    originals: Mapping[str, Original] | None = None
    """The tool's own files by their keys; None when they were not given."""


@dataclass(slots=True)
class Matching:
    """The work of one matching: `match`, then what it found."""

    source: Source
    history: ForeignHistory
    mapping: Mapping[str, Version]
    evidence: Evidence
    accept_edited: bool
    problems: list[str] = field(default_factory=list)
    found: dict[Version, list[tuple[ForeignMigration, str]]] = field(
        default_factory=partial(defaultdict, list)
    )
    """What was matched with each file, and how, in the order of application."""
    covered: dict[Version, tuple[str, str]] = field(default_factory=dict)
    """Origin and proof of what is recorded without a migration of its own."""
    digests: dict[Version, Digests] = field(default_factory=dict)
    """Of the files that were compared, each made once."""

    def match(self) -> None:
        """Find the files and compare them.

        Raises:
            SourceError: a file that is compared cannot be read as SQL.
        """
        for each in self.history.migrations:
            file, how = self._file_of(each)
            if file is None:
                self.problems.append(f"{each.label} ({each.key}): {how}")
            elif each.is_baseline:
                self._cover(file.version, BASELINE, "baseline")
            else:
                self.found[file.version].append((each, how))
                if self.history.is_pointer:
                    self._cover(file.version, ADOPTED + self.history.tool, "older than current")
        for version, group in tuple(self.found.items()):
            self._compare(self.source.by_version[version], group)
        if self.evidence.originals is not None:
            self._compare_covered(self.evidence.originals)

    def _compare_covered(self, originals: Mapping[str, Original]) -> None:
        """Below a pointer, each file has an original of its own number."""
        keys = {self.mapping.get(key, version_of(key)): key for key in originals}
        for version, (origin, _) in tuple(self.covered.items()):
            if origin == BASELINE or version in self.found:
                continue
            file = self.source.by_version[version]
            key = keys.get(version)
            reason = "it has no original" if key is None else self._against_original(file, key)
            self.covered[version] = (origin, "edited" if reason else "statements")
            if reason and not self.accept_edited:
                self.problems.append(f"{file.file}: {reason}")

    def _fits(self, file: MigrationFile, foreign: Sequence[ForeignMigration]) -> bool | None:
        if not all(each.digest for each in foreign):
            return None
        if file.version not in self.digests:
            self.digests[file.version] = self.evidence.digests(file)
        return fits(self.digests[file.version], foreign)

    def _file_of(self, each: ForeignMigration) -> tuple[MigrationFile | None, str]:
        """The file of a migration and how it was found; or None and why it was not."""
        for key in (each.key, each.group):
            if key and key in self.mapping:
                version = self.mapping[key]
                file = self.source.by_version.get(version)
                return file, "map" if file else f"the map says {version}, which has no file"
        file = self.source.by_version.get(each.version) if each.version else None
        if file is not None and self._fits(file, [each]) is not False:
            return file, "version"
        # Its number is another file's, or nobody's: was it numbered anew?
        same = [other for other in self.source.migrations if self._fits(other, [each])]
        if len(same) == 1:
            return same[0], "checksum"
        if file is not None:
            return file, "version"
        named = [other for other in self.source.migrations if _is_name(other.name, each.name)]
        if len(named) == 1:
            return named[0], "name"
        wanted = f" for {each.version}" if each.version else ""
        return None, f"the source has no file{wanted}"

    def _cover(self, version: Version, origin: str, proof: str) -> None:
        for file in self.source.migrations:
            if file.version <= version and file.version not in self.covered:
                self.covered[file.version] = (origin, proof)

    def _compare(self, file: MigrationFile, group: list[tuple[ForeignMigration, str]]) -> None:
        foreign = [each for each, _ in group]
        if len(group) > 1 and any(how != "map" and not each.group for each, how in group):
            names = ", ".join(each.label for each in foreign)
            self.problems.append(f"{file.file}: stands for several: {names}")
            return
        verdict = self._fits(file, foreign)
        proof = "checksum" if verdict else group[-1][1]
        reason = f"its checksum differs from what {self.history.tool} ran"
        if not verdict and self.evidence.originals is not None:
            reason = self._against_originals(file, foreign)
            verdict = not reason
            proof = "statements"
        if verdict is False:
            proof = "edited"
            if not self.accept_edited:
                names = ", ".join(each.label for each in foreign)
                self.problems.append(
                    f"{file.file}: is not {names}: {reason} (--accept-edited, with a reason, if "
                    "that was agreed on)"
                )
        self.found[file.version] = [(each, proof) for each in foreign]

    def _against_originals(self, file: MigrationFile, foreign: Sequence[ForeignMigration]) -> str:
        """Why the file is not what the tool ran, by the tool's own files; empty when it is."""
        if len(foreign) != 1:
            return "it stands for several, of which each has a file of its own"
        (each,) = foreign
        return self._against_original(file, each.key, each)

    def _against_original(
        self, file: MigrationFile, key: str, each: ForeignMigration | None = None
    ) -> str:
        original = (self.evidence.originals or {}).get(canonical(key))
        if original is None:
            return f"there is no original of {key}"
        where = original.file.shown
        if each is not None and each.digest:
            theirs = self.evidence.digests(original.file)
            if fits(theirs, [each]) is False:
                return f"{where} has another checksum than what {self.history.tool} ran"
        if not has_same_statements(file, original):
            return f"its statements are not those of {where}"
        return ""

    def find_holes(self) -> None:
        """Add a problem for each older file that the tool has not applied."""
        known = {*self.found, *self.covered}
        if not known:
            return
        newest = max(known)
        self.problems += [
            f"{file.file}: is older than {newest}, and {self.history.tool} has not applied it "
            "(--out-of-order warn leaves it pending)"
            for file in self.source.migrations
            if file.version < newest and file.version not in known
        ]

    def rows(self) -> Iterable[Adopted]:
        """What would be recorded, in the order of application."""
        for version in sorted(self.covered.keys() - self.found.keys()):
            origin, proof = self.covered[version]
            yield Adopted(self._record(version), origin, proof)
        place = {each.key: number for number, each in enumerate(self.history.migrations)}
        for version in sorted(
            self.found, key=lambda version: place[self.found[version][-1][0].key]
        ):
            group = self.found[version]
            yield Adopted(
                self._record(version),
                ADOPTED + self.history.tool,
                group[-1][1],
                tuple(each for each, _ in group),
            )

    def _record(self, version: Version) -> Recorded:
        return Recorded(self.source.by_version[version], self.source.rollbacks.get(version))

    def proposal(self) -> Iterable[tuple[ForeignMigration, MigrationFile | None]]:
        """Each migration with its file; those without one beside the files that are left."""
        files = {each.key: self._file_of(each)[0] for each in self.history.migrations}
        taken = {file.version for file in files.values() if file}
        left = iter([file for file in self.source.migrations if file.version not in taken])
        groups: dict[str, MigrationFile | None] = {}
        for each in self.history.migrations:
            file = files[each.key]
            if file is None:
                group = each.group or each.key
                if group not in groups:
                    groups[group] = next(left, None)
                file = groups[group]
            yield each, file


def _is_name(ours: str, theirs: str) -> bool:
    """Whether two names are the same but for how their words are parted."""

    def words(name: str) -> str:
        return name.lower().replace("_", " ").replace("-", " ").strip()

    return bool(theirs) and words(ours) == words(theirs)
