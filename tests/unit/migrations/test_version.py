"""Versions are read strictly and ordered as Semantic Versioning orders them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbmigrate.migrations.version import Version

numbers = st.integers(min_value=0, max_value=10**9)
versions = st.builds(Version, numbers, numbers, numbers)


def test_ten_comes_after_nine():
    """Numbers are compared as numbers: 1.10.0 is newer than 1.9.0."""
    texts = ["1.10.0", "1.9.0", "2.0.0", "1.9.10", "1.9.9", "0.99.99"]
    ordered = [str(each) for each in sorted(map(Version.parse, texts))]
    assert ordered == ["0.99.99", "1.9.0", "1.9.9", "1.9.10", "1.10.0", "2.0.0"]


@given(versions)
def test_a_version_reads_back_from_its_text(version):
    """What is written into the history is read from it as the same version."""
    assert Version.parse(str(version)) == version
    assert Version.parse(f"v{version}") == version


@given(versions, versions)
def test_order_is_that_of_the_numbers(one, other):
    """Major decides, then minor, then patch."""
    key = (one.major, one.minor, one.patch), (other.major, other.minor, other.patch)
    assert (one < other) == (key[0] < key[1])


@pytest.mark.parametrize(
    "text",
    [
        "", "1", "1.2", "1.2.3.4", "01.2.3", "1.02.3", "1.2.03", "1.2.-3", "+1.2.3", "1.2.3-rc1",
        "1.2.3+5", " 1.2.3", "1.2.3\n", "V1.2.3", "vv1.2.3", "\N{ARABIC-INDIC DIGIT ONE}.2.3",
        "1.2.99999999999", "1,2,3",
        "1.2.3_rollback",
    ],
)  # fmt: skip
def test_what_is_no_version_is_refused(text):
    """No zero padding, no pre-release, no foreign digits, no blanks: one text for one version."""
    with pytest.raises(ValueError, match=r"expected MAJOR\.MINOR\.PATCH"):
        Version.parse(text)
