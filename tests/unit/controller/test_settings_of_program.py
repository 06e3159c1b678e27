from __future__ import annotations

from datetime import timedelta

import pytest
from click.testing import CliRunner

from dbmigrate.controller import main as program
from dbmigrate.controller.timestamps import parse_duration


@pytest.fixture
def started(monkeypatch):
    """What `main` would run with."""
    found = []

    async def run(settings):
        found.append(settings)

    monkeypatch.setattr(program, "_run", run)
    monkeypatch.setattr(program, "configure", lambda *_: None)
    return found


def test_environment_of_the_chart_is_understood(started):
    """The variables that the chart's Deployment sets."""
    environment = {
        "DBMIGRATE_OPERATOR_RUNNER_IMAGE": "x:1",
        "DBMIGRATE_OPERATOR_RUNNER_IMAGE_PULL_POLICY": "Never",
        "DBMIGRATE_OPERATOR_RUNNER_RESOURCES": '{"limits": {"memory": "1Gi"}}',
        "DBMIGRATE_OPERATOR_TTL_SECONDS_AFTER_FINISHED": "600",
        "DBMIGRATE_OPERATOR_NAMESPACES": "a,b",
        "DBMIGRATE_OPERATOR_RESYNC_INTERVAL": "90s",
        "DBMIGRATE_OPERATOR_LOG_LEVEL": "debug",
        "DBMIGRATE_OPERATOR_LOG_FORMAT": "json",
        "DBMIGRATE_OPERATOR_IDENTITY": "pod-1",
    }
    done = CliRunner().invoke(program.main, [], env=environment)
    assert done.exit_code == 0, done.output
    (settings,) = started
    assert settings.runner_image == "x:1"
    assert settings.runner_image_pull_policy == "Never"
    assert settings.runner_resources == {"limits": {"memory": "1Gi"}}
    assert settings.ttl_seconds_after_finished == 600
    assert settings.namespaces == ("a", "b")
    assert settings.resync_interval == timedelta(seconds=90)
    assert settings.identity == "pod-1"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--runner-image"),
        (["--runner-image=x", "--runner-resources={"], "not JSON"),
        (["--runner-image=x", "--runner-resources=[]"], "JSON object"),
        (["--runner-image=x", "--resync-interval=soon"], "not a duration"),
    ],
)
def test_wrong_settings_are_explained(started, arguments, words):
    """A usage error, with the option's name, and nothing is started."""
    done = CliRunner().invoke(program.main, arguments)
    assert done.exit_code == 2
    assert words in done.output
    assert not started


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("500ms", 0.5), ("1h30m", 5400), ("90", 90), ("1.5m", 90), ("1m30s", 90)],
)
def test_durations(text, seconds):
    """As manifests and flags write them."""
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "soon", "1x", "1h 30m", "-5s"])
def test_no_durations(text):
    """Anything else is refused."""
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)
