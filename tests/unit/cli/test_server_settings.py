"""Parameters of the server: from the command line, a variable, an environment's file."""

import pytest

from dbmigrate.cli.options.merged import Common
from dbmigrate.cli.settings.resolving import resolve
from dbmigrate.cli.settings.server_settings import parse_setting, parse_settings
from dbmigrate.errors import UsageError

PROCESS = {"DATABASE_URL": "postgresql://h/x"}


@pytest.fixture
def common(tmp_path):
    """Common options; what is given replaces the defaults."""
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "staging.env").write_text(
        "MIGRATION_SETTINGS=work_mem=64MB; DateStyle=ISO, DMY;\nMIGRATION_STATEMENT_TIMEOUT=90s\n"
    )

    def make(**values):
        fields = dict.fromkeys(Common.__dataclass_fields__)
        return Common(**(fields | {"config": tmp_path, "typed": frozenset()} | values))

    return make


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("work_mem=256MB", ("work_mem", "256MB")),
        (" Work_Mem = 256 MB ", ("work_mem", "256 MB")),
        ("temp_tablespaces=", ("temp_tablespaces", "")),
        ("app.x=a=b", ("app.x", "a=b")),
    ],
)
def test_a_pair(text, pair):
    """Blanks around both do not count; the value may hold =."""
    assert parse_setting(text) == pair


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("work_mem", "is not NAME=VALUE"),
        ("=1", "not the name of a parameter"),
        ("search_path=x", "search_path cannot be set"),
        ("lock_timeout=1s", "--lock-timeout"),
        ("Statement_Timeout=1s", "--statement-timeout"),
    ],
)
def test_what_may_not_be_set(text, message):
    """With what to do instead."""
    with pytest.raises(ValueError, match=message):
        parse_setting(text)


def test_several_in_one_text():
    """Empty parts do not count; one name twice does."""
    assert parse_settings("a=1;; b = x, y ;") == {"a": "1", "b": "x, y"}
    with pytest.raises(ValueError, match="a is given twice"):
        parse_settings("a=1; A=2")


def test_an_option_rules_over_the_environment_by_name(common):
    """The environment's others stay."""
    found = resolve(common(environment="staging", set=(("work_mem", "1GB"),)), PROCESS)
    assert found.server == {"work_mem": "1GB", "datestyle": "ISO, DMY"}
    assert found.statement_timeout == 90


def test_the_file_rules_over_the_process(common):
    """Which says it where there is no file."""
    process = {**PROCESS, "MIGRATION_SETTINGS": "work_mem=1MB"}
    assert resolve(common(), process).server == {"work_mem": "1MB"}
    assert resolve(common(environment="staging"), process).server["work_mem"] == "64MB"


def test_an_option_twice_is_refused(common):
    """Nobody knows which was meant."""
    with pytest.raises(UsageError, match="work_mem is given twice"):
        resolve(common(set=(("work_mem", "1GB"), ("work_mem", "2GB"))), PROCESS)


def test_a_wrong_one_in_the_environments_file_has_its_line(common, tmp_path):
    """The key and the reason."""
    path = tmp_path / "environments" / "staging.env"
    path.write_text("DEBUG_QUERIES=true\nMIGRATION_SETTINGS=row_security=off\n")
    with pytest.raises(UsageError, match=r"staging\.env:2: MIGRATION_SETTINGS cannot .*row_sec"):
        resolve(common(environment="staging"), PROCESS)
