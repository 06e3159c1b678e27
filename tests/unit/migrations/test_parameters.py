"""Which parameters of the server a user may set for migrations."""

import pytest

from dbmigrate.migrations.parameters import ParameterRefusedError, check_parameter, seconds_of


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("work_mem", "256MB", "work_mem"),
        (" Maintenance_Work_Mem ", "1GB", "maintenance_work_mem"),
        ("TimeZone", "Europe/Vienna", "timezone"),
        ("statement_timeout", "5min", "statement_timeout"),
        ("temp_tablespaces", "", "temp_tablespaces"),
        ("timescaledb.restoring", "on", "timescaledb.restoring"),
        ("synchronous_commit", "remote_apply", "synchronous_commit"),
    ],
)
def test_any_parameter_may_be_set(name, value, key):
    """An extension's too; the server judges names and values."""
    assert check_parameter(name, value) == key


@pytest.mark.parametrize(
    "name",
    [
        "standard_conforming_strings",
        "Client_Encoding",
        "default_transaction_read_only",
        "session_replication_role",
        "search_path",
        "row_security",
        "ROLE",
        "app.environment",
    ],
)
def test_what_the_engine_relies_on_is_refused(name):
    """With the reason, however it is written."""
    with pytest.raises(ParameterRefusedError, match=rf"^{name.lower()} cannot be set: \w+"):
        check_parameter(name, "on")


@pytest.mark.parametrize("name", ["", "work mem", "work-mem", "1a", "a;b", "a.", 'x"y', "a" * 200])
def test_what_is_no_name_is_refused(name):
    """Before it comes near the server; a long one is not repeated whole."""
    with pytest.raises(ParameterRefusedError, match="not the name") as raised:
        check_parameter(name, "1")
    assert len(str(raised.value)) < 250


@pytest.mark.parametrize("value", ["off", "OFF", "false", "no", "0", " off "])
def test_a_commit_that_a_crash_may_forget_is_refused(value):
    """History and database could say what is gone after a crash."""
    with pytest.raises(ParameterRefusedError, match="synchronous_commit cannot be off"):
        check_parameter("synchronous_commit", value)


@pytest.mark.parametrize("value", ["a\nb", "a\0b", "x" * 1001])
def test_a_value_that_cannot_be_one_is_refused(value):
    """Control characters and endless texts."""
    with pytest.raises(ParameterRefusedError, match="value of work_mem"):
        check_parameter("work_mem", value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0.0), ("1500", 1.5), ("2s", 2.0), ("250 ms", 0.25), ("1.5min", 90.0), ("soon", None)],
)
def test_a_timeout_is_understood_as_the_server_does(value, seconds):
    """Without a unit it is in milliseconds; what is not understood is the server's to judge."""
    assert seconds_of(value) == seconds
