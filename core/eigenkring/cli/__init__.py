"""The command line ``eigenkring``. The contract is docs/cli.md; every command is a thin call of the library."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from eigenkring.cli import (
    answers,
    cases,
    circle,
    devices,
    files,
    grants,
    keeping,
    parts,
    people,
    relay,
    reports,
    taking_along,
)
from eigenkring.cli.session import Globals, fail
from eigenkring.errors import Misuse


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--home",
    envvar="EIGENKRING_HOME",
    type=click.Path(file_okay=False),
    help="Folder of one person's device. Also EIGENKRING_HOME. Default: ~/.eigenkring",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print exactly one JSON object; errors as one JSON line on stderr."
)
@click.option("--offline", is_flag=True, help="Touch no network; what you do is sent at the next sync.")
@click.version_option(package_name="eigenkring")
@click.pass_context
def cli(context: click.Context, home: str | None, as_json: bool, offline: bool) -> None:
    """Eigenkring: a family's own plan, end-to-end encrypted.

    One home folder is one person's device. Start a case with `eigenkring start`, or follow a link with `eigenkring join`.
    """
    context.obj = Globals(home, as_json, offline)


for module in (relay, cases, people, circle, parts, files, keeping, grants, answers, devices, reports, taking_along):
    for command in module.COMMANDS:
        cli.add_command(command)


def _refuse_half_characters(words: Sequence[str]) -> None:
    """Bytes that are no text reach Python as half a character, which nothing can keep or send."""
    if any("\ud800" <= letter <= "\udfff" for word in words for letter in word):
        raise Misuse("bad_argument", "a word of the call is no text (UTF-8)")


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point. Exit status: 0 done, 1 refused or failed, 2 the command was not understood."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Read from the words themselves: when parsing fails there is no context to ask.
    as_json = "--json" in given
    try:
        _refuse_half_characters(given)
        cli.main(args=given, prog_name="eigenkring", standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        sys.exit(130)
    except Exception as error:
        sys.exit(fail(error, as_json))
