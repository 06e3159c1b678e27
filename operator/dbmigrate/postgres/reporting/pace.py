"""How often what lasts is told: at once when it changes, then ever more seldom.

Each line of a run's log costs: kubelet, the API server and the operator handle it, and a
person reads it. A statement of an hour must not be told two thousand times.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """Remembers what was told last. Durations are seconds."""

    shortest: float
    longest: float
    share: float
    """What has lasted for so long is told again after this part of it, within those bounds."""
    _about: object = None
    _told: float = 0.0

    def is_due(self, about: object, lasts: float, now: float) -> bool:
        """Whether to tell it now; then it counts as told.

        Args:
            about: what it is about; another value than the last one is due at once.
            lasts: for how long it has lasted.
            now: by any clock that does not jump.
        """
        gap = max(self.shortest, min(lasts * self.share, self.longest))
        if about == self._about and now - self._told < gap:
            return False
        self._about, self._told = about, now
        return True

    def forget(self) -> None:
        """What comes next is due, whatever it is about."""
        self._about = None
