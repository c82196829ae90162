"""Every command that the README shows exists."""

import importlib.util
import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[list[str]]:
    lines = "\n".join(BLOCK.findall(text)).splitlines()
    return [shlex.split(line[2:], comments=True) for line in lines if line.startswith("$ ")]


def make_targets() -> set[str]:
    targets: set[str] = set()
    for line in (ROOT / "Makefile").read_text().splitlines():
        if match := re.match(r"^([a-z][a-z -]*):(?!=)", line):
            targets.update(match[1].split())
    return targets


def missing(text: str) -> list[str]:
    """The commands of `text` that are neither a make target nor a command of ours."""
    wrong = []
    for words in commands(text):
        program = Path(words[0]).name
        if program == "make":
            names = [word for word in words[1:] if "=" not in word and not word.startswith("-")]
            good = set(names) <= make_targets()
        elif program == "eigenkring":
            good = is_cli_command(words[1:])
        else:
            good = program in ("cd", "git")
        if not good:
            wrong.append(shlex.join(words))
    return wrong


def is_cli_command(words: list[str]) -> bool:
    import click

    if importlib.util.find_spec("eigenkring.cli") is None:
        return False
    from eigenkring import cli

    command: click.Command | None = cli.cli
    for word in words:
        if not isinstance(command, click.Group) or word.startswith("-"):
            break
        command = command.get_command(click.Context(command), word)
        if command is None:
            return False
    return True


def test_the_readme_shows_commands_that_exist() -> None:
    text = (ROOT / "README.md").read_text()
    assert ["make", "run"] in commands(text)
    assert ["make", "test"] in commands(text)
    assert missing(text) == []


def test_a_command_that_does_not_exist_is_found() -> None:
    text = "```console\n$ make no-such-thing\n$ eigenkring no-such-thing\n$ curl x\n$ make test # all\n```\n"
    assert missing(text) == ["make no-such-thing", "eigenkring no-such-thing", "curl x"]
