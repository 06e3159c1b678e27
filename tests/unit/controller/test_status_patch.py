from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dbmigrate.controller.act import difference

VALUES = st.recursive(
    st.one_of(st.integers(), st.text(max_size=3), st.lists(st.integers(), max_size=2)),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


def merge(old, patch):
    """RFC 7396, section 2, as it is written there."""
    if not isinstance(patch, dict):
        return patch
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


@settings(deadline=None)
@given(OBJECTS, OBJECTS)
def test_patch_makes_the_new_from_the_old(old, new):
    """A merge patch by the RFC's own algorithm gives the wanted object, removals included."""
    assert merge(old, difference(old, new)) == new


@settings(deadline=None)
@given(OBJECTS)
def test_nothing_changed_is_no_patch(data):
    """Equal objects need no write."""
    assert difference(data, data) == {}
