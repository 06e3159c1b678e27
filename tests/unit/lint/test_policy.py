"""What a finding is worth: the run's level, the rules' own, and the user's word for one rule."""

import pytest

from dbmigrate.api.lint import LintLevel
from dbmigrate.errors import Location, UsageError
from dbmigrate.lint.policy import Policy, Wish, parse_level, parse_rules
from dbmigrate.lint.rules import OFF, OFF_IN_SQUAWK, REFUSED, REPORTED, RULES

OFF_LEVEL, REPORT, REFUSE = LintLevel.OFF, LintLevel.REPORT, LintLevel.REFUSE


def test_at_the_level_refuse_a_rule_has_its_own_weight():
    """Some refuse, some are told, some are not looked for."""
    policy = Policy(REFUSE)
    assert {policy.level_of(rule) for rule in REFUSED} == {REFUSE}
    assert {policy.level_of(rule) for rule in REPORTED} == {REPORT}
    assert {policy.level_of(rule) for rule in (*OFF, *OFF_IN_SQUAWK)} == {OFF_LEVEL}


def test_at_the_level_report_nothing_refuses():
    """Not even what the user says shall."""
    policy = Policy(REPORT, {"prefer-identity": REFUSE})
    assert all(policy.level_of(rule) is not REFUSE for rule in RULES)
    assert policy.level_of("prefer-identity") is REPORT


def test_at_the_level_off_nothing_counts():
    """Whatever single rules say."""
    policy = Policy(OFF_LEVEL, {"ban-drop-table": REFUSE})
    assert all(policy.level_of(rule) is OFF_LEVEL for rule in RULES)


def test_a_rule_that_is_not_known_here_is_told():
    """A later squawk has rules that nobody weighed yet: neither lost nor a refusal."""
    assert Policy(REFUSE).level_of("a-rule-of-tomorrow") is REPORT


def test_the_users_word_for_a_rule_rules():
    """In both directions."""
    policy = Policy(REFUSE, {"ban-drop-column": OFF_LEVEL, "prefer-identity": REFUSE})
    assert policy.level_of("ban-drop-column") is OFF_LEVEL
    assert policy.level_of("prefer-identity") is REFUSE


def test_a_rollback_refuses_nothing_and_may_take_away_what_was_added():
    """Dropping is its purpose; a long lock is told."""
    policy = Policy(REFUSE, {"changing-column-type": REFUSE})
    assert policy.level_of("ban-drop-table", is_rollback=True) is OFF_LEVEL
    assert policy.level_of("renaming-column", is_rollback=True) is OFF_LEVEL
    assert policy.level_of("changing-column-type", is_rollback=True) is REPORT


def test_squawk_is_told_what_to_leave_out_and_what_to_add():
    """Its own choice of rules differs from ours; what it has no switch for is not named."""
    policy = Policy(REFUSE, {"unused-ignore": OFF_LEVEL, "require-table-schema": REPORT})
    assert "prefer-robust-stmts" in policy.excluded
    assert "ban-drop-table" not in policy.excluded
    assert "unused-ignore" not in policy.excluded
    assert "require-table-schema" not in policy.excluded
    assert policy.included == ("require-table-schema",)


def test_a_stronger_place_rules_over_a_weaker_one_rule_by_rule():
    """The command line says one thing more; what the environment said of others stays."""
    environment = Wish(REFUSE, {"ban-drop-column": OFF_LEVEL, "renaming-table": REPORT})
    both = Wish(None, {"ban-drop-column": REFUSE}).over(environment)
    assert both == Wish(REFUSE, {"ban-drop-column": REFUSE, "renaming-table": REPORT})
    assert Wish(REPORT).over(environment).level is REPORT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        (" , ", {}),
        ("ban-drop-column=off", {"ban-drop-column": OFF_LEVEL}),
        (
            " ban-drop-column = Report ,renaming-table=REFUSE,",
            {"ban-drop-column": REPORT, "renaming-table": REFUSE},
        ),
        ("prefer-timestamptz=report", {"prefer-timestamp-tz": REPORT}),
    ],
)
def test_levels_of_rules_are_pairs(text, expected):
    """Blanks and capitals do not matter; both of squawk's spellings are known."""
    assert parse_rules(text, "here") == expected


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("ban-drop-column", "'ban-drop-column' is not RULE=LEVEL", "such as"),
        ("ban-drop-colum=off", "no rule 'ban-drop-colum'", "did you mean ban-drop-column?"),
        ("x=off", "no rule 'x'", "docs/lint.md"),
        ("ban-drop-column=warn", "ban-drop-column: 'warn' is no level", "off, report and refuse"),
        ("ban-drop-column=off,ban-drop-column=off", "there twice", "keep one"),
    ],
)
def test_what_is_no_pair_is_an_error_that_says_so(text, problem, hint):
    """A misspelt rule would otherwise silence nothing, or refuse nothing."""
    with pytest.raises(UsageError) as caught:
        parse_rules(text, "HERE", Location("file.env", 3))
    assert caught.value.message.startswith("file.env:3: HERE: ")
    assert problem in caught.value.message
    assert hint in caught.value.hint
    assert (caught.value.error_code, caught.value.location.line) == ("InvalidSetting", 3)


@pytest.mark.parametrize("text", ["refuse", "Refuse", " REFUSE "])
def test_a_level_is_read_whatever_its_capitals(text):
    """A manifest writes them with a capital."""
    assert parse_level(text, "here") is REFUSE


@pytest.mark.parametrize("text", ["", "true", "error"])
def test_another_word_is_no_level(text):
    """And is not taken for one."""
    with pytest.raises(UsageError, match="is no level of the linter"):
        parse_level(text, "here")
