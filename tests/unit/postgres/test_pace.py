"""How often what lasts is told."""

from itertools import pairwise

from dbmigrate.postgres.reporting.pace import Pace


def told(pace, end, about=lambda _: "it"):
    """When it is told, asked four times a second."""
    times = (number / 4 for number in range(4 * end))
    return [now for now in times if pace.is_due(about(now), now, now)]


def test_what_stays_the_same_is_told_ever_more_seldom():
    """Within the bounds."""
    times = told(Pace(shortest=2.0, longest=10.0, share=0.05), 3600)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[0] == 2.0
    assert gaps == sorted(gaps)
    assert gaps[-1] == 10.0
    assert len(times) < 400


def test_a_change_is_told_at_once():
    """Whatever was told just before."""
    pace = Pace(shortest=5.0, longest=60.0, share=0.5)
    assert told(pace, 3, about=int) == [0.0, 1.0, 2.0]


def test_what_was_forgotten_is_told_anew():
    """Even when it is the same as before."""
    pace = Pace(shortest=5.0, longest=60.0, share=0.5)
    assert pace.is_due("it", 0.0, 0.0)
    assert not pace.is_due("it", 1.0, 1.0)
    pace.forget()
    assert pace.is_due("it", 2.0, 2.0)
