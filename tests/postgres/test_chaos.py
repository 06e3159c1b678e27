"""A hundred random trials, spread over the versions; `make chaos` runs a thousand and more."""

from random import SystemRandom

import pytest
from tests.chaos.campaign import Servers, version_of
from tests.chaos.trial import run_trial

from conftest import VERSIONS

TRIALS = 100


@pytest.fixture
def chaos_servers():
    """Servers that nobody else uses: the trials crash them."""
    servers = Servers()
    yield servers
    servers.close()


@pytest.mark.parametrize("major", VERSIONS, ids=lambda major: f"pg{major}")
def test_database_and_history_agree_whatever_goes_wrong(chaos_servers, major):
    """Nothing is applied twice, half or unseen, and the next run carries on by itself."""
    first = SystemRandom().randrange(10**9)
    seeds = [seed for seed in range(first, first + TRIALS) if version_of(seed) == major]
    struck = 0
    for seed in seeds:
        trial = run_trial(seed, chaos_servers.of(major))
        assert not trial.violations, (
            f"python -m tests.chaos --trials 1 --seed {seed}: {trial.violations}"
        )
        struck += sum(attempt.struck for attempt in trial.attempts)
    assert struck > len(seeds) / 2
