"""Whether a file that did not get a lock is tried again, and after which pause."""

import pytest

from dbmigrate.errors import DbmigrateError, MigrationFailedError, RefusedError
from dbmigrate.postgres.executing.retrying import RetryPolicy

LOCKED = MigrationFailedError("locked", sqlstate="55P03", transient=True)


def pause(policy, error: DbmigrateError = LOCKED, tries=1, elapsed=0.0, chance=0.5):
    """What the policy says."""
    return policy.pause(error, tries=tries, elapsed=elapsed, chance=chance)


@pytest.mark.parametrize("sqlstate", ["55P03", "40P01"])
def test_a_missing_lock_and_a_deadlock_are_tried_again(sqlstate):
    """They say nothing against the file, and pass by themselves."""
    error = MigrationFailedError("", sqlstate=sqlstate, transient=True)
    assert pause(RetryPolicy(2.0), error) is not None


def test_what_is_committed_in_part_is_not():
    """Then not even a missing lock passes without harm."""
    assert pause(RetryPolicy(2.0), MigrationFailedError("locked", sqlstate="55P03")) is None


@pytest.mark.parametrize("sqlstate", ["", "40001", "57014", "42P01", "23505", "08006", "55006"])
def test_nothing_else_is(sqlstate):
    """Not even what a later run may well get over."""
    error = MigrationFailedError("", sqlstate=sqlstate, transient=True)
    assert pause(RetryPolicy(2.0), error) is None


def test_a_rule_that_forbids_the_run_is_not():
    """It has no SQLSTATE."""
    assert pause(RetryPolicy(2.0), RefusedError("no")) is None


def test_the_retries_are_counted():
    """Two retries are three tries."""
    policy = RetryPolicy(2.0, retries=2)
    assert [pause(policy, tries=tries) is None for tries in (1, 2, 3)] == [False, False, True]
    assert pause(RetryPolicy(2.0, retries=0)) is None


def test_no_try_begins_after_the_time_limit():
    """The pause before it counts."""
    policy = RetryPolicy(2.0, retries=100, time_limit=10.0)
    assert pause(policy, elapsed=8.0) == 2.0
    assert pause(policy, elapsed=8.1) is None


def test_a_time_limit_of_zero_is_none():
    """As for every other duration."""
    assert pause(RetryPolicy(2.0, time_limit=0.0), elapsed=1e6) is not None


@pytest.mark.parametrize("lock_timeout", [0.0, 0.1, 1.0, 2.0, 5.0, 30.0])
def test_pauses_grow_from_about_the_lock_timeout_to_an_end(lock_timeout):
    """What one try has made wait is let through before the next one."""
    policy = RetryPolicy(lock_timeout, retries=10_000)
    pauses = [pause(policy, tries=tries) for tries in range(1, 2_000)]
    assert pauses == sorted(pauses)
    assert pauses[0] == max(lock_timeout, 0.5)
    assert pauses[-1] == max(lock_timeout, 15.0)


def test_the_pause_is_spread_by_half_of_it_either_way():
    """Two runs that collided do not meet again."""
    policy = RetryPolicy(2.0)
    assert [pause(policy, chance=chance) for chance in (0.0, 0.5, 1.0)] == [1.0, 2.0, 3.0]
