"""Errors carry a stable code, a place and the exit code that is documented."""

import inspect

import pytest

from dbmigrate import errors
from dbmigrate.errors import DbmigrateError, InterruptedRunError, Location, RefusedError

CLASSES = [
    each
    for _, each in inspect.getmembers(errors, inspect.isclass)
    if issubclass(each, DbmigrateError) and each is not DbmigrateError
]


def test_exit_codes_are_those_that_are_documented():
    """Scripts and the operator tell errors apart by them."""
    codes = {each.__name__: each.exit_code for each in CLASSES}
    assert codes == {
        "UsageError": 2,
        "SourceError": 2,
        "RefusedError": 3,
        "LockNotObtainedError": 4,
        "UnreachableError": 5,
        "StoppedError": 6,
        "InterruptedRunError": 143,
        "LinterFailedError": 1,
        "MigrationFailedError": 1,
    }


def test_each_kind_of_error_has_its_own_code():
    """Two kinds under one code could not be told apart."""
    codes = [each.code for each in CLASSES]
    assert len(set(codes)) == len(codes)
    assert all(code.isalnum() and code[0].isupper() for code in codes)


@pytest.mark.parametrize(("signum", "code"), [(2, 130), (15, 143), (1, 129)])
def test_a_signal_is_128_and_its_number(signum, code):
    """The shell's own convention."""
    assert InterruptedRunError("x", signal_number=signum).exit_code == code


def test_an_error_may_have_a_finer_code():
    """Its exit code stays that of its kind."""
    error = RefusedError("edited", code="ChecksumMismatch")
    assert (error.error_code, error.exit_code) == ("ChecksumMismatch", 3)
    assert RefusedError("x").error_code == "Refused"


@pytest.mark.parametrize(
    ("location", "text"),
    [
        (Location("a.sql"), "a.sql"),
        (Location("a.sql", 3), "a.sql:3"),
        (Location("a.sql", 3, 7), "a.sql:3:7"),
        (Location("a.sql", 0, 7), "a.sql"),
    ],
)
def test_a_place_is_written_as_editors_read_it(location, text):
    """Clicking on it opens the file there."""
    assert str(location) == text
