"""Passwords in the words of others: blotted out, and nothing else with them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbmigrate.redaction import by_position, without

REFUSED = 'connection to server at "127.0.0.1", port 1 failed: Connection refused'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:pw@h/db", "postgresql://me:***@h/db"),
        ("postgresql://me:p/w@h/db", "postgresql://me:***@h/db"),
        ("postgresql:/me:pw@h/db", "postgresql:/me:***@h/db"),
        ("postgresql://:pw@h", "postgresql://:***@h"),
        ("postgresql://me@h:5432/db", "postgresql://me@h:5432/db"),
        ("postgresql://h/db?password=pw&sslmode=require", "postgresql://h/db?password=***&sslmode=require"),
        ("host=h password=pw user=me", "host=h password=*** user=me"),
        ("host=h password='p w\\' x' user=me", "host=h password=*** user=me"),
        ('PASSWORD = "p w"', "PASSWORD = ***"),
    ],
)  # fmt: skip
def test_what_stands_at_a_passwords_place_is_masked(text, shown):
    """Between user and host of a URI, behind `password=`; whatever it is."""
    assert by_position(text) == shown


@pytest.mark.parametrize(
    "secret", ["1", "a", "er", "127", "server", "connection", "refused", "port"]
)
def test_a_password_that_is_part_of_other_words_mangles_nothing(secret):
    """A host's name and libpq's own words stay readable."""
    assert without(REFUSED, [secret]) == REFUSED


@pytest.mark.parametrize("quoted", ['"{}"', "'{}'", "«{}»", "„{}“"])
@pytest.mark.parametrize("secret", ["1", "pw", "hunter22", "correct horse"])
def test_what_a_message_quotes_is_masked(quoted, secret):
    """As libpq puts the value that it complains about in quotation marks, in its language."""
    text = f"invalid sslmode value: {quoted.format(secret)}"
    assert secret not in without(text, [secret]).removeprefix("invalid sslmode value")


def test_a_long_secret_is_masked_wherever_it_stands():
    """As a word of its own, quoted or not."""
    assert without("got hunter22, not hunter223", ["hunter22"]) == "got ***, not hunter223"


@pytest.mark.parametrize("plain", ["hunter22", "hunter22.example"])
def test_the_same_word_stays_where_it_is_a_host_or_a_user(plain):
    """Who chose the user's name as the password has told it already."""
    text = f"failed for '{plain}' at {plain}"
    assert without(text, ["hunter22"], [plain]) == text


@given(st.text(), st.lists(st.text(max_size=9), max_size=3), st.lists(st.text(), max_size=3))
def test_no_text_crashes_it(text, secrets, plain):
    """It is the last thing between an error and the user."""
    without(text, secrets, plain)


@given(st.text(alphabet="ab1: /@'=", max_size=200))
def test_it_takes_no_long_time(text):
    """Each pattern goes through the text once."""
    by_position(f"postgresql://a:{text * 50}")
