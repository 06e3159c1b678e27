"""How help is laid out: options and commands under headings, each option with its variable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

WHERE = "Where the database and the migrations are"
HOW = "How it runs"
RECORD = "What is recorded in the history"
SUPERVISOR = "For a supervisor, such as the operator"
SHOW = "What is shown"
OWN = "Options of this command"
CHANGE = "Commands that change the database"
LOOK = "Commands that only look"
HISTORY = "Commands that change the history alone"
SECTIONS = (OWN, WHERE, HOW, RECORD, SHOW, SUPERVISOR)


class Option(click.Option):
    """An option that belongs to a section of the help and has its environment variable."""

    def __init__(self, *args: Any, section: str = OWN, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section
        if self.envvar is None and self.name is not None:
            self.envvar = f"DBMIGRATE_{self.name.upper()}"


def option(*names: str, section: str = OWN, **kwargs: Any) -> Callable[[F], F]:
    """As `click.option`, with a section and a variable."""
    return click.option(*names, cls=Option, section=section, **kwargs)


def together(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    """One decorator that gives a command all these options; help shows them in this order."""

    def give(function: F) -> F:
        for each in reversed(options):
            function = each(function)
        return function

    return give


class SectionedCommand(click.Command):
    """A command that belongs to a section, and whose help shows its options by section."""

    def __init__(self, *args: Any, section: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, each under its section's heading."""
        _write_options(self, ctx, formatter)


class SectionedGroup(click.Group):
    """The group: its help shows the commands by section, then the common options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by section, then the options by theirs."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            heading = getattr(command, "section", "")
            sections.setdefault(heading, []).append((name, command.get_short_help_str(80)))
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)
        _write_options(self, ctx, formatter)


def _write_options(
    command: click.Command, ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    for section in SECTIONS:
        records = [
            record
            for param in command.get_params(ctx)
            if getattr(param, "section", OWN) == section
            and not isinstance(param, click.Argument)
            and (record := param.get_help_record(ctx)) is not None
        ]
        if records:
            with formatter.section(section):
                formatter.write_dl(records)
    formatter.write_paragraph()
    formatter.write_text(
        "Each option is also an environment variable: DBMIGRATE_ and its name, such as "
        "DBMIGRATE_LOCK_TIMEOUT."
    )
