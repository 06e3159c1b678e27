"""A large file is read again only as it was hashed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbmigrate.errors import RefusedError, SourceError
from dbmigrate.migrations.content import HeldContent, LargeContent, read_content
from dbmigrate.migrations.folder import read_source
from dbmigrate.migrations.statements import Statements

MIB = 1 << 20
OPEN = Path("/proc/self/fd")
LINE = "insert into t values (1, 'ä');\n"


def _large(path, data: bytes, block: int) -> LargeContent:
    path.write_bytes(data)
    return LargeContent(os.open(path, os.O_RDONLY), "a.sql", block=block)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from(["\r", "\n", "\r\n", "a", "é", "\ufeff"]), max_size=12).map("".join),
    st.integers(3, 8),
)
@example("\ufeff\r\n", 4)
@example("aa\r", 3)
@example("aa\r\n", 3)
@example("a\r\r\n", 3)
def test_a_large_file_is_as_a_small_one(tmp_path_factory, text, block):
    """Size, both checksums, and the bytes from each offset."""
    data = text.encode()
    large = _large(tmp_path_factory.getbasetemp() / "a.sql", data, block)
    held = HeldContent(data)
    assert large.size == held.size
    assert large.checksum == held.checksum == hashlib.sha256(data).hexdigest()
    assert large.text_checksum == held.text_checksum
    for offset in range(len(data) + 1):
        assert b"".join(large.read_from(offset)) == data[offset:]


def test_size_decides_what_is_held(tmp_path):
    """Small files are held; what is large is not."""
    path = tmp_path / "a.sql"
    path.write_bytes(b"x" * 99)
    assert isinstance(read_content(path, "a.sql", large=100)[0], HeldContent)
    path.write_bytes(b"x" * 100)
    assert isinstance(read_content(path, "a.sql", large=100)[0], LargeContent)


@pytest.mark.parametrize("is_large", [False, True])
def test_emptiness(tmp_path, is_large):
    """Whitespace alone is nothing; the last character of many may be something."""
    path = tmp_path / "a.sql"
    for text, is_empty in [("", True), (" \n" * 99, True), (" \n" * 99 + ";", False)]:
        path.write_text(text)
        assert read_content(path, "a.sql", large=0 if is_large else MIB)[1] is is_empty


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"X" + data[1:],
        lambda data: data[:-1] + b"X",
        lambda data: data[:-1],
        lambda data: data[:40],
        lambda _: b"",
        lambda data: data[64:128] + data[:64] + data[128:],
    ],
)
def test_a_changed_file_is_refused(tmp_path, change):
    """Whatever was changed, no byte of a changed block is given."""
    data = bytes(range(1, 128)) * 4
    path = tmp_path / "a.sql"
    large = _large(path, data, 64)
    path.write_bytes(change(data))
    given = []
    with pytest.raises(RefusedError) as refused:
        given.extend(large.read_from(0))
    assert refused.value.error_code == "SourceChanged"
    assert "a.sql" in refused.value.message
    assert data.startswith(b"".join(given))


def test_what_is_appended_is_not_read(tmp_path):
    """A file that grew is read as it was."""
    path = tmp_path / "a.sql"
    large = _large(path, b"abcdef", 4)
    path.write_bytes(b"abcdefgh")
    with pytest.raises(RefusedError):
        list(large.read_from(0))
    large = _large(path, b"abcdefgh", 4)
    path.write_bytes(b"abcdefgh; drop table t")
    assert b"".join(large.read_from(0)) == b"abcdefgh"


def test_a_replaced_file_is_read_as_it_was(tmp_path):
    """Kubernetes and Git put a new file under the name; the old one is still open."""
    path = tmp_path / "a.sql"
    large = _large(path, b"before", 4)
    other = tmp_path / "b.sql"
    other.write_bytes(b"behind")
    other.rename(path)
    assert b"".join(large.read_from(0)) == b"before"


def test_descriptors_are_given_back(tmp_path):
    """A content that nobody holds any more closes its file."""
    path = tmp_path / "a.sql"

    def is_open():
        return any(each.is_symlink() and each.resolve() == path for each in OPEN.iterdir())

    large = _large(path, b"abc", 4)
    assert is_open()
    del large
    assert not is_open()


def test_a_large_migration(tmp_path):
    """Its checksum, its statements and its excerpts are those of its bytes."""
    text = "create table t (a int, b text);\n" + LINE * 50_000 + "select wrong here;\n"
    (tmp_path / "v1.0.0_a.sql").write_text(text)
    (file,) = read_source([tmp_path]).migrations
    assert isinstance(file.content, LargeContent)
    assert file.checksum == hashlib.sha256(text.encode()).hexdigest()
    statements = Statements(file.content, file.shown)
    assert len(statements) == 50_002
    *_, last = statements
    assert (last.text, last.line, last.column) == ("select wrong here", 50_002, 1)
    assert file.excerpt(50_002, 8) == "select wrong here;\n       ^"
    assert file.head.startswith("create table t")
    assert file.sql == text


def test_no_excerpt_of_a_file_that_is_gone(tmp_path):
    """An error is told without the line, rather than hidden by another error."""
    path = tmp_path / "v1.0.0_a.sql"
    path.write_text(LINE * 50_000)
    (file,) = read_source([tmp_path]).migrations
    path.write_text("something else")
    assert file.excerpt(1, 1) == ""


def test_a_bad_byte_far_behind(tmp_path):
    """It is told with the place that it has in the whole file."""
    (tmp_path / "v1.0.0_a.sql").write_bytes(LINE.encode() * 50_000 + "ä".encode() + b"\xff")
    with pytest.raises(SourceError) as refused:
        read_source([tmp_path])
    assert refused.value.error_code == "NotUtf8"
    assert (refused.value.location.line, refused.value.location.column) == (50_001, 2)
