"""A session's batches: taken lazily, answered in order, and usable after whatever went wrong."""

import pytest

from dbmigrate.postgres.server.connection import connect
from dbmigrate.postgres.server.interruption import Interruption
from dbmigrate.postgres.server.session import SYNC, ConnectionLostError, Request
from dbmigrate.postgres.server.settings import SessionSettings

pytestmark = pytest.mark.one_version
MIB = 1 << 20


class SourceFailedError(Exception):
    """What a source of requests may raise."""


@pytest.fixture
def session(database):
    """A session of the engine's own."""
    interruption = Interruption()
    session = connect(database.settings, SessionSettings("up", is_writing=True), interruption)
    yield session
    session.close()
    interruption.close()


def test_requests_are_taken_as_they_are_needed(session):
    """No more than about a mebibyte is ahead of the replies, whatever the batch holds."""
    text = "select 1 -- " + "x" * 50_000
    ahead = []
    taken = 0

    def requests():
        nonlocal taken
        for _ in range(200):
            taken += 1
            yield Request(text)

    for answered, reply in enumerate(session.run(requests())):
        assert reply.tag == "SELECT 1"
        ahead.append(taken - answered)
    assert len(ahead) == 200
    assert MIB // 2 < max(ahead) * len(text) < 2 * MIB


def test_many_small_requests_are_not_all_ahead(session):
    """What a small request takes beside its text counts too."""
    taken = most = 0

    def requests():
        nonlocal taken
        for _ in range(20_000):
            taken += 1
            yield Request("")

    for answered, _ in enumerate(session.run(requests())):
        most = max(most, taken - answered)
    assert most < 10_000


@pytest.mark.parametrize("ending", [(), (SYNC,)])
def test_a_batch_is_ended_by_a_sync(session, ending):
    """Given or not."""
    replies = list(session.run((Request("select 1"), *ending)))
    assert [reply.tag for reply in replies] == ["SELECT 1"]


def test_nothing_to_send(session):
    """No requests, no replies."""
    assert list(session.run(())) == []


def test_a_source_that_fails(session):
    """Its error comes after the replies to what it gave, and the transaction can be undone."""

    def requests():
        yield Request("begin")
        yield Request("create table t ()")
        raise SourceFailedError

    tags = []
    with pytest.raises(SourceFailedError):
        tags.extend(reply.tag for reply in session.run(requests()))
    assert tags == ["BEGIN", "CREATE TABLE"]
    assert session.in_transaction
    session.query("rollback")
    assert session.query("select to_regclass('t')") == [(None,)]


def test_replies_come_before_the_source_fails(session):
    """A failed statement is heard of, even when the source fails later."""

    def requests():
        yield Request("select 1/0")
        raise SourceFailedError

    errors = []
    with pytest.raises(SourceFailedError):
        errors.extend(reply.error for reply in session.run(requests()))
    assert [error.sqlstate for error in errors] == ["22012"]


def test_what_would_be_skipped_is_not_sent(session):
    """Behind a failure, the rest of its stretch is passed over; the next stretch runs."""
    text = "select 1 -- " + "x" * 50_000

    def requests():
        yield Request("select 1/0")
        for _ in range(500):
            yield Request(text)
        yield SYNC
        yield Request("select 2")
        yield Request("select 3")

    replies = list(session.run(requests()))
    assert replies[0].error is not None
    assert [reply.number for reply in replies[-2:]] == [502, 503]
    assert [reply.tag for reply in replies[-2:]] == ["SELECT 1", "SELECT 1"]
    assert 1 <= sum(reply.skipped for reply in replies) < 100
    assert len(replies) < 100


def test_copy_in_parts(session):
    """COPY data is sent part by part, wherever the parts are cut."""
    session.query("create table t (a text)")
    assert session.copy_in("copy t from stdin", ["ä\nb".encode()[:1], "ä\nb".encode()[1:]]) is None
    assert session.query("select a from t") == [("ä",), ("b",)]


def test_a_source_of_copy_data_that_fails(session):
    """Nothing is copied, its error is raised, and the session goes on."""

    def data():
        yield b"1\n"
        raise SourceFailedError

    session.query("create table t (a int)")
    with pytest.raises(SourceFailedError):
        session.copy_in("copy t from stdin", data())
    assert session.query("select count(*) from t") == [(0,)]


def test_copy_to_the_client_ends_the_session(session):
    """A file with it is refused before; here libpq would wait for ever, and the locks with it."""
    errors = []
    with pytest.raises(ConnectionLostError):
        errors.extend(each.error for each in session.run([Request("copy (select 1) to stdout")]))
    assert [error.sqlstate for error in errors] == ["0A000"]
    assert not session.is_alive
