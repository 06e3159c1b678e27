"""Other tools' numbers, checksums and maps."""

import pytest
from tests.unit.migrations.histories import file

from dbmigrate.errors import UsageError
from dbmigrate.migrations.adoption_map import read_map, write_map
from dbmigrate.migrations.foreign import ForeignMigration, version_of
from dbmigrate.migrations.version import Version
from dbmigrate.postgres.adoption import flyway, liquibase


@pytest.mark.parametrize(
    ("number", "version"),
    [
        ("1", "1.0.0"),
        ("1.2", "1.2.0"),
        ("1_2_3", "1.2.3"),
        ("00007", "7.0.0"),
        ("1.02", "1.2.0"),
        ("20240131094500", "20240131.94500.0"),
        ("20240131000000", "20240131.0.0"),
        ("1706694300", "1706694300.0.0"),
    ],
)
def test_a_number_is_a_version(number, version):
    """Padded to three parts; a time is its date and its time."""
    assert version_of(number) == Version.parse(version)


@pytest.mark.parametrize("number", ["", "a1", "1.2.3.4", "0", "0.0", "99999999999", "1..2", "٣"])
def test_what_does_not_fit_has_no_version(number):
    """It needs a map; a wrong guess would be worse."""
    assert version_of(number) is None


def test_times_keep_their_order():
    """Also within a day."""
    times = ["20231231235959", "20240101000000", "20240101000001", "20240101010000"]
    versions = [version_of(each) for each in times]
    assert versions == sorted(versions)


def test_flyways_checksum_is_signed_and_of_lines():
    """Two values that Flyway 11 computed of these texts; a byte order mark does not count."""
    assert flyway.checksum([b"select 1;\n"]) == flyway.checksum([b"\xef\xbb\xbfselect 1;\r\n"])
    text = [b"alter table book add ", b"column published_year integer;"]
    assert flyway.checksum(text) == 1219040525


def test_liquibases_checksum_is_of_the_text_without_white_space():
    """The value that Liquibase 4.31 computed."""
    text = """create table author (
        id bigint generated always as identity primary key,
        name text not null
    );"""
    assert liquibase.checksum(text) == "9:206e40d24dd3708dc2d85168c6cd1794"
    assert liquibase.checksum(text.upper()) != "9:206e40d24dd3708dc2d85168c6cd1794"


MAPS = [
    ("map.yaml", '"1.10": 1.10.0\nab12: v2.0.0  # a remark\n'),
    ("map.json", '{"1.10": "1.10.0", "ab12": "2.0.0"}'),
    ("map.csv", "# old,new\n1.10,1.10.0\n\nab12 , 2.0.0\n"),
]


@pytest.mark.parametrize(("name", "text"), MAPS)
def test_a_map_is_read_in_three_forms(tmp_path, name, text):
    """Keys stay texts: 1.10 is not 1.1."""
    path = tmp_path / name
    path.write_text(text)
    assert read_map(path) == {"1.10": Version(1, 10, 0), "ab12": Version(2, 0, 0)}


@pytest.mark.parametrize(
    ("name", "text", "place", "word"),
    [
        ("m.yaml", "a: 1.0.0\na: 2.0.0\n", "m.yaml:2", "twice"),
        ("m.yaml", "a: 1.0.0\nb: x\n", "m.yaml:2", "not a version"),
        ("m.yaml", "a: 1.0.0\nb:\n", "m.yaml:2", "not a version"),
        ("m.yaml", "- a\n", "m.yaml:1", "no mapping"),
        ("m.yaml", "a: [1]\n", "m.yaml:1", "nothing nested"),
        ("m.yaml", "a: 'b\n", "m.yaml:", "not YAML"),
        ("m.csv", "a,1.0.0\nb\n", "m.csv:2", "a name and a version"),
        ("m.csv", "a,1.0.0\na,1.0.0\n", "m.csv:2", "twice"),
    ],
)
def test_a_map_that_does_not_fit_is_refused_with_its_line(tmp_path, name, text, place, word):
    """Half a map would adopt half a history."""
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_map(path)
    assert caught.value.error_code == "InvalidMap"
    assert place in caught.value.message
    assert word in caught.value.message


def test_a_map_that_cannot_be_read_is_refused(tmp_path):
    """Missing, a folder, another encoding."""
    bad = tmp_path / "bad.yaml"
    bad.write_bytes(b"\xff\xfe")
    for path in (tmp_path / "none.yaml", tmp_path, bad):
        with pytest.raises(UsageError):
            read_map(path)


def test_a_proposal_is_read_back_once_it_is_filled_in(tmp_path):
    """What nobody knew is left open, and refused until it is said."""
    path = tmp_path / "map.yaml"
    odd = ForeignMigration(key='a: "b" # ü', label="odd")
    write_map(path, [(odd, file("1.0.0")), (ForeignMigration(key="c", label="c"), None)])
    with pytest.raises(UsageError):
        read_map(path)
    path.write_text(path.read_text().replace('"c": ', '"c": 2.0.0'))
    assert read_map(path) == {'a: "b" # ü': Version(1, 0, 0), "c": Version(2, 0, 0)}
    with pytest.raises(UsageError) as caught:
        write_map(path, [])
    assert caught.value.error_code == "MapNotWritten"
