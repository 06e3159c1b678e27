"""The options of all commands together."""

from collections import Counter

import click
import pytest

from dbmigrate.cli.commands.group import dbmigrate_group


def commands(group, path="dbmigrate"):
    """Every command with its path, groups too."""
    yield path, group
    if isinstance(group, click.Group):
        for name, each in group.commands.items():
            yield from commands(each, f"{path} {name}")


@pytest.mark.parametrize(("path", "command"), list(commands(dbmigrate_group)), ids=str)
def test_no_two_options_of_a_command_have_one_name(path, command):
    """Else one of them is never heard."""
    names = Counter(
        name for param in command.params for name in (*param.opts, *param.secondary_opts)
    )
    assert [name for name, count in names.items() if count > 1] == [], path


@pytest.mark.parametrize(("path", "command"), list(commands(dbmigrate_group)), ids=str)
def test_no_two_options_of_a_command_have_one_variable(path, command):
    """Nor one variable for two meanings."""
    variables = Counter(
        variable
        for param in command.params
        for variable in ([param.envvar] if isinstance(param.envvar, str) else param.envvar or [])
    )
    assert [name for name, count in variables.items() if count > 1] == [], path
