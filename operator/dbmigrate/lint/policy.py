"""What a finding is worth in this run: the run's level, the rules' own, and the user's word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dbmigrate.api.lint import LintLevel
from dbmigrate.errors import Location, UsageError
from dbmigrate.lint.rules import RULES, UNSWITCHABLE, canonical

_GOING_BACK = ("ban-drop-", "renaming-")
"""What a rollback is there for: it takes away what its migration brought."""
_GOING_BACK_TOO = frozenset({"ban-alter-identity", "ban-set-schema"})


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one run.

    Args:
        level: ``report`` lowers every ``refuse`` to a report; ``off`` runs nothing.
        rules: what the user says of single rules, over their own levels.
    """

    level: LintLevel
    rules: Mapping[str, LintLevel] = field(default_factory=dict)

    def level_of(self, rule: str, *, is_rollback: bool = False) -> LintLevel:
        """What a finding of this rule is worth.

        A rollback's findings are told and never refuse: it runs when there is trouble
        already, and dropping what was added is its purpose, which is no finding at all.
        """
        known = RULES.get(rule)
        own = self.rules.get(rule, known.level if known else LintLevel.REPORT)
        if own is LintLevel.OFF or self.level is LintLevel.OFF:
            return LintLevel.OFF
        if is_rollback and (rule.startswith(_GOING_BACK) or rule in _GOING_BACK_TOO):
            return LintLevel.OFF
        return LintLevel.REPORT if is_rollback else min(own, self.level, key=_STRENGTH.index)

    @property
    def excluded(self) -> tuple[str, ...]:
        """The rules that squawk is told to leave out."""
        return tuple(
            name for name in RULES if name != UNSWITCHABLE and self.level_of(name) is LintLevel.OFF
        )

    @property
    def included(self) -> tuple[str, ...]:
        """The rules that squawk has off by itself and is told to look at."""
        return tuple(
            rule.name
            for rule in RULES.values()
            if rule.opt_in and self.level_of(rule.name) is not LintLevel.OFF
        )


@dataclass(frozen=True, slots=True)
class Wish:
    """What one place says of linting: the command line, an environment's file, the process."""

    level: LintLevel | None = None
    """None where it says nothing."""
    rules: Mapping[str, LintLevel] = field(default_factory=dict)

    def over(self, other: Wish) -> Wish:
        """This one's word, and the other's where this one says nothing."""
        level = other.level if self.level is None else self.level
        return Wish(level, {**other.rules, **self.rules})


NO_WISH = Wish()
_STRENGTH = (LintLevel.OFF, LintLevel.REPORT, LintLevel.REFUSE)


def parse_level(text: str, where: str, location: Location | None = None) -> LintLevel:
    """A level from ``off``, ``report`` or ``refuse``.

    Args:
        text: as it was written; capitals do not matter.
        where: who says so: an option, a key.
        location: where that stands, if in a file.

    Raises:
        UsageError: code InvalidSetting.
    """
    try:
        return LintLevel(text.strip().lower())
    except ValueError:
        problem = f"{text.strip()!r} is no level of the linter"
        raise _wrong(problem, "the levels are off, report and refuse", where, location) from None


def parse_rules(text: str, where: str, location: Location | None = None) -> dict[str, LintLevel]:
    """Levels of single rules from ``ban-drop-column=off,prefer-text-field=report``.

    Args:
        text: pairs with commas between; blanks do not matter; may be empty.
        where: who says so: an option, a key.
        location: where that stands, if in a file.

    Raises:
        UsageError: code InvalidSetting: no pair, a rule that is not known or there twice.
    """
    found: dict[str, LintLevel] = {}
    for pair in filter(None, (each.strip() for each in text.split(","))):
        name, equals, level = (part.strip() for part in pair.partition("="))
        rule = canonical(name)
        if not equals:
            hint = "such as ban-drop-column=report,renaming-table=off"
            raise _wrong(f"{pair!r} is not RULE=LEVEL", hint, where, location)
        if rule is None:
            raise _wrong(f"the linter has no rule {name!r}", _nearest(name), where, location)
        if rule in found:
            raise _wrong(f"{rule} is there twice", "keep one of them", where, location)
        found[rule] = parse_level(level, f"{where}: {rule}", location)
    return found


def _wrong(problem: str, hint: str, where: str, location: Location | None) -> UsageError:
    place = f"{location}: " if location else ""
    return UsageError(
        f"{place}{where}: {problem}", code="InvalidSetting", hint=hint, location=location
    )


def _nearest(name: str) -> str:
    import difflib  # noqa: PLC0415 -- only after a mistake

    near = difflib.get_close_matches(name, RULES, n=1)
    return f"did you mean {near[0]}?" if near else "docs/lint.md lists the rules"
