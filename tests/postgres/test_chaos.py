"""A hundred trials with seeds that stay, spread over the versions; `make chaos` draws new ones."""

import pytest
from tests.chaos.campaign import Servers, version_of
from tests.chaos.trial import run_trial

from conftest import VERSIONS

SEEDS = range(1, 101)


@pytest.fixture
def chaos_servers():
    """Servers that nobody else uses: the trials crash them."""
    servers = Servers()
    yield servers
    servers.close()


@pytest.mark.parametrize("major", VERSIONS, ids=lambda major: f"pg{major}")
def test_database_and_history_agree_whatever_goes_wrong(chaos_servers, major):
    """Nothing is applied twice, half or unseen, and the next run carries on by itself."""
    seeds = [seed for seed in SEEDS if version_of(seed) == major]
    struck = 0
    for seed in seeds:
        trial = run_trial(seed, chaos_servers.of(major))
        assert not trial.violations, (
            f"python -m tests.chaos --trials 1 --seed {seed}: {trial.violations}"
        )
        struck += sum(attempt.struck for attempt in trial.attempts)
    assert struck > len(seeds) / 2
