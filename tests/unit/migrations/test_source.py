"""A source folder is read once and whole; every problem is told with its file."""

import hashlib
import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbmigrate.errors import SourceError
from dbmigrate.migrations.folder import read_source
from dbmigrate.migrations.source import digest_of, parse_name
from dbmigrate.migrations.version import Version


@pytest.fixture
def folder(tmp_path):
    """An empty source folder with its rollbacks folder."""
    (tmp_path / "migrations" / "rollbacks").mkdir(parents=True)
    return tmp_path / "migrations"


def put(folder, name, text="select 1;"):
    """Write one file."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def problem(*folders):
    """The error of a source that is not usable."""
    with pytest.raises(SourceError) as caught:
        read_source(folders)
    return caught.value


def test_migrations_come_in_semver_order(folder):
    """1.9.0 runs before 1.10.0, whatever the file system's order is."""
    for name in ("v1.10.0_c.sql", "v1.9.0_b.sql", "v1.0.0_a.sql", "v1.9.10_x.sql"):
        put(folder, name)
    order = [str(each.version) for each in read_source([folder]).migrations]
    assert order == ["1.0.0", "1.9.0", "1.9.10", "1.10.0"]


@pytest.mark.parametrize(
    "name",
    [
        "rollbacks/v1.0.0_rollback.sql",
        "rollbacks/v1.0.0_rollback_initial.sql",
        "v1.0.0_rollback.sql",
        "v1.0.0_rollback_initial.sql",
    ],
)
def test_a_rollback_is_found_in_its_folder_and_in_a_flat_one(folder, name):
    """Both of the documented names serve, in `rollbacks/` and beside the migrations."""
    put(folder, "v1.0.0_initial.sql")
    put(folder, name, "select 2;")
    source = read_source([folder])
    assert [each.file for each in source.migrations] == ["v1.0.0_initial.sql"]
    assert source.rollbacks[Version(1, 0, 0)].file == name


def test_a_name_that_only_begins_like_rollback_is_a_migration(folder):
    """`v1.0.0_rollbacks_table.sql` creates a table of that name; it undoes nothing."""
    put(folder, "v1.0.0_rollbacks_table.sql")
    source = read_source([folder])
    assert len(source.migrations) == 1
    assert not source.rollbacks


def test_two_files_of_one_version_are_refused(folder):
    """Nobody can tell which of them is meant."""
    put(folder, "v1.0.0_a.sql")
    put(folder, "v1.0.0_b.sql")
    error = problem(folder)
    assert error.error_code == "DuplicateVersion"
    assert "v1.0.0_a.sql" in error.message
    assert "v1.0.0_b.sql" in error.message


def test_two_rollbacks_of_one_version_are_refused(folder):
    """Also when one is in the folder and the other one beside the migration."""
    put(folder, "v1.0.0_a.sql")
    put(folder, "v1.0.0_rollback.sql")
    put(folder, "rollbacks/v1.0.0_rollback_a.sql")
    error = problem(folder)
    assert error.error_code == "DuplicateRollback"
    assert "v1.0.0_rollback.sql" in error.message
    assert "v1.0.0_rollback_a.sql" in error.message


def test_a_rollback_without_its_migration_is_refused(folder):
    """It is a misspelt version, or a migration that was forgotten."""
    put(folder, "rollbacks/v1.0.1_rollback.sql")
    error = problem(folder)
    assert error.error_code == "RollbackWithoutMigration"
    assert "v1.0.1_rollback.sql" in error.message


@pytest.mark.parametrize(
    "name",
    [
        "1.0.0_initial.sql", "v1.0_initial.sql", "v1.0.0.sql", "v1.0.0_.sql", "initial.sql",
        "v01.0.0_initial.sql", "v1.0.0-rc1_initial.sql", "v0.0.0_initial.sql", "V1.0.0_x.sql",
        "v1.0.0_with blank.sql", "rollbacks/v1.0.0_undo.sql", "v99999999999.0.0_x.sql",
    ],
)  # fmt: skip
def test_a_name_that_does_not_fit_is_refused(folder, name):
    """A file that is silently passed over would be a migration that never runs."""
    put(folder, name)
    error = problem(folder)
    assert error.error_code == "InvalidFileName"
    assert name in error.message


@pytest.mark.parametrize("text", [b"", b"  \n\t\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf \r\n"])
def test_an_empty_file_is_refused(folder, text):
    """Nobody records nothing as applied on purpose."""
    put(folder, "v1.0.0_a.sql", text)
    error = problem(folder)
    assert error.error_code == "EmptyFile"
    assert "v1.0.0_a.sql" in error.message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"select 1;\nselect 'caf\xe9';\n", 2),
        ("select 1;".encode("utf-16"), 1),
        (b"select '\xed\xa0\x80';", 1),
    ],
)
def test_another_encoding_than_utf8_is_refused_with_its_place(folder, text, line):
    """Latin-1, UTF-16, half of a surrogate: the server would take them for other characters."""
    put(folder, "v1.0.0_a.sql", text)
    error = problem(folder)
    assert "v1.0.0_a.sql" in error.message
    assert error.location.line == line
    assert error.location.column > 0


def test_a_missing_folder_is_refused(tmp_path):
    """An empty answer for a misspelt folder would say that nothing is pending."""
    error = problem(tmp_path / "nowhere")
    assert error.error_code == "SourceNotFound"
    assert "nowhere" in error.message


def test_a_file_instead_of_a_folder_is_refused(tmp_path):
    """`--source migrations/v1.0.0_a.sql` is a mistake that is told."""
    error = problem(put(tmp_path, "v1.0.0_a.sql"))
    assert error.error_code == "SourceNotFound"


def test_a_link_that_leaves_the_folder_is_refused(folder, tmp_path):
    """What is hashed and what is meant would be two things."""
    outside = put(tmp_path, "secret.sql")
    (folder / "v1.0.0_a.sql").symlink_to(outside)
    error = problem(folder)
    assert error.error_code == "LinkLeavesFolder"
    assert "v1.0.0_a.sql" in error.message


def test_a_folder_of_rollbacks_that_leads_outside_is_refused(folder, tmp_path):
    """Its files are outside too."""
    put(folder, "v1.0.0_a.sql")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    put(elsewhere, "v1.0.0_rollback.sql")
    (folder / "rollbacks").rmdir()
    (folder / "rollbacks").symlink_to(elsewhere)
    assert problem(folder).error_code == "LinkLeavesFolder"


def test_a_dangling_link_is_refused(folder):
    """A migration that is there by name only must not be passed over."""
    (folder / "v1.0.0_a.sql").symlink_to("nowhere.sql")
    assert problem(folder).error_code == "UnreadableFile"


def test_a_folder_named_as_a_migration_is_refused(folder):
    """It cannot be run."""
    (folder / "v1.0.0_a.sql").mkdir()
    assert problem(folder).error_code == "NotAFile"


def test_a_pipe_named_as_a_migration_is_refused(folder):
    """Reading it would wait for ever."""
    os.mkfifo(folder / "v1.0.0_a.sql")
    assert problem(folder).error_code == "NotAFile"


def test_a_link_that_leads_to_itself_is_refused(folder):
    """One more way not to be a file."""
    (folder / "v1.0.0_a.sql").symlink_to("v1.0.0_a.sql")
    assert problem(folder).error_code == "UnreadableFile"


@pytest.mark.parametrize("name", ["v1.0.0_a.SQL", "V1.0.0_a.sql", "rollbacks/v1.0.0_rollback.Sql"])
def test_a_name_in_capitals_is_refused_not_passed_over(folder, name):
    """Who wrote it takes it for a migration."""
    put(folder, name)
    assert problem(folder).error_code == "InvalidFileName"


@pytest.mark.parametrize("name", ["Rollbacks", "rollback", "ROLLBACKS"])
def test_a_misspelt_folder_of_rollbacks_is_refused(folder, name):
    """Passed over, it would be missed on the day of the rollback."""
    (folder / "rollbacks").rmdir()
    (folder / name).mkdir()
    error = problem(folder)
    assert f"migrations/{name}: " in error.message
    assert error.hint == "rename it to rollbacks"


def test_rollbacks_that_are_no_folder_are_refused(folder):
    """A file of that name."""
    (folder / "rollbacks").rmdir()
    put(folder, "rollbacks")
    assert "migrations/rollbacks: cannot be read: Not a directory" in problem(folder).message


def test_an_unreadable_folder_of_rollbacks_is_refused(folder):
    """It may hold what is needed; a link to itself cannot be read by root either."""
    (folder / "rollbacks").rmdir()
    (folder / "rollbacks").symlink_to("rollbacks")
    assert problem(folder).error_code == "UnreadableFile"


@pytest.mark.parametrize(
    "name", ["v1.0.0_a\nerror.sql", "v1.0.0_\u202eb.sql", "v1.0.0_\x1b[2J.sql"]
)
def test_a_name_that_would_disturb_a_message_is_shown_escaped(folder, name):
    """It is one line, and nothing in it turns around or clears what stands elsewhere."""
    put(folder, name)
    assert problem(folder).message.isprintable()


def test_a_mounted_configmap_is_read(tmp_path):
    """The kubelet mounts keys as links into the hidden folder ..data, which is a link itself."""
    real = tmp_path / "..2026_01_01"
    real.mkdir()
    put(real, "v1.0.0_a.sql")
    put(real, "v1.0.0_rollback.sql", "select 2;")
    (tmp_path / "..data").symlink_to(real.name)
    for name in ("v1.0.0_a.sql", "v1.0.0_rollback.sql"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    source = read_source([tmp_path])
    assert [each.file for each in source.migrations] == ["v1.0.0_a.sql"]
    assert list(source.rollbacks) == [Version(1, 0, 0)]


def test_other_files_are_no_migrations(folder):
    """A README, a file of checks, an editor's swap file lie beside them."""
    put(folder, "v1.0.0_a.sql")
    for name in ("README.md", "checks.yaml", ".v1.0.0_a.sql.swp", ".hidden.sql"):
        put(folder, name)
    assert len(read_source([folder]).migrations) == 1


def test_an_empty_folder_is_an_empty_source(folder):
    """A project may begin with none."""
    source = read_source([folder])
    assert source.migrations == ()
    assert source.latest is None


def test_all_problems_are_told_at_once(folder):
    """Mending them one by one would take as many runs."""
    put(folder, "bad.sql")
    put(folder, "v1.0.0_empty.sql", "")
    put(folder, "rollbacks/v2.0.0_rollback.sql")
    message = problem(folder).message
    assert all(name in message for name in ("bad.sql", "v1.0.0_empty.sql", "v2.0.0_rollback.sql"))


def test_a_thousand_problems_do_not_flood(folder):
    """Twenty are shown, the rest is counted."""
    for number in range(50):
        put(folder, f"bad{number}.sql")
    message = problem(folder).message
    assert message.count("\n- ") == 21
    assert "and 30 more" in message


def test_folders_are_merged(tmp_path):
    """What outgrows one ConfigMap comes as several folders."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    put(two, "v1.0.0_a.sql")
    put(one, "v1.1.0_b.sql")
    source = read_source([one, two])
    assert [str(each.version) for each in source.migrations] == ["1.0.0", "1.1.0"]


def test_one_file_name_in_two_folders_is_refused(tmp_path):
    """Even with equal content: one of them will be edited some day."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    put(one, "v1.0.0_a.sql")
    put(two, "v1.0.0_a.sql")
    error = problem(one, two)
    assert error.error_code == "DuplicateFile"
    assert str(one) in error.message
    assert str(two) in error.message


def test_the_checksum_is_what_sha256sum_prints(folder):
    """People compare it by hand."""
    path = put(folder, "v1.0.0_a.sql", "select 'ü';\r\n")
    printed = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout
    assert read_source([folder]).migrations[0].checksum == printed.split()[0]


def test_line_ends_and_byte_order_mark_do_not_change_the_text_checksum(folder, tmp_path):
    """A checkout under Windows is not an edited migration."""
    other = tmp_path / "windows"
    other.mkdir()
    put(folder, "v1.0.0_a.sql", b"select 1;\nselect 2;\n")
    put(other, "v1.0.0_a.sql", b"\xef\xbb\xbfselect 1;\r\nselect 2;\r\n")
    here, there = (read_source([each]).migrations[0] for each in (folder, other))
    assert here.checksum != there.checksum
    assert here.text_checksum == there.text_checksum


@pytest.mark.parametrize("edited", [b"select 1; \n", b"select 1;", b"SELECT 1;\n", b"select 1;\r"])
def test_any_other_change_changes_the_text_checksum(folder, tmp_path, edited):
    """A blank, a lost line end, a capital, a lone carriage return: it was edited."""
    other = tmp_path / "edited"
    other.mkdir()
    put(folder, "v1.0.0_a.sql", b"select 1;\n")
    put(other, "v1.0.0_a.sql", edited)
    here, there = (read_source([each]).migrations[0] for each in (folder, other))
    assert here.text_checksum != there.text_checksum


def test_the_digest_is_that_of_the_sums_in_path_order(folder):
    """The operator computes the same from ConfigMaps: `sha256sum` lines, sorted, hashed."""
    put(folder, "v1.0.0_a.sql")
    put(folder, "rollbacks/v1.0.0_rollback.sql", "select 2;")
    sums = [hashlib.sha256(text).hexdigest() for text in (b"select 2;", b"select 1;")]
    listing = f"{sums[0]}  rollbacks/v1.0.0_rollback.sql\n{sums[1]}  v1.0.0_a.sql\n"
    assert read_source([folder]).digest == hashlib.sha256(listing.encode()).hexdigest()


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=5)), st.randoms())
def test_the_digest_does_not_depend_on_the_order(files, random):
    """Folders are listed in any order."""
    pairs = list(files.items())
    shuffled = random.sample(pairs, len(pairs))
    assert digest_of(pairs) == digest_of(shuffled)


@given(st.text())
def test_a_name_is_read_or_refused_but_never_crashes(text):
    """File names are whatever people and systems make of them."""
    try:
        version, _, _ = parse_name(text)
    except SourceError as error:
        assert error.error_code == "InvalidFileName"  # noqa: PT017 -- either is right
    else:
        assert text.rpartition("/")[2].startswith(f"v{version}_")


def test_repeatable_files_and_verifications_are_found_in_their_folders(folder):
    """A verification may have its migration's very name."""
    for name in ("repeatable", "verify"):
        (folder / name).mkdir()
    for name in (
        "v1.0.0_a.sql",
        "repeatable/b.sql",
        "repeatable/A_view.sql",
        "verify/v1.0.0_a.sql",
    ):
        put(folder, name)
    source = read_source([folder])
    assert [each.file for each in source.repeatables] == [
        "repeatable/A_view.sql",
        "repeatable/b.sql",
    ]
    ((version, (verify,)),) = source.verifies.items()
    assert (str(version), verify.file) == ("1.0.0", "verify/v1.0.0_a.sql")
    assert [each.file for each in source.migrations] == ["v1.0.0_a.sql"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("verify/v1.1.0_a.sql", "VerifyWithoutMigration"),
        ("verify/views.sql", "InvalidFileName"),
        ("repeatable/has blank.sql", "InvalidFileName"),
        ("repeatables/views.sql", "InvalidFileName"),
        ("Verify/v1.0.0_a.sql", "InvalidFileName"),
    ],
)
def test_what_does_not_fit_beside_the_migrations_is_refused(folder, name, code):
    """Passed over, it would never be missed."""
    put(folder, "v1.0.0_a.sql")
    (folder / name).parent.mkdir()
    put(folder, name)
    assert problem(folder).error_code == code
