"""docs/cli.md names every command with the options it has, and no other; docs/spec/errors.md every code."""

from __future__ import annotations

import re
from pathlib import Path

import click

from eigenkring import errors
from eigenkring.cli import cli
from eigenkring_crypto import errors as crypto_errors

ROOT = Path(__file__).resolve().parent.parent


def described() -> list[tuple[str, str]]:
    """Command and the words after it, for each row; the words of a group begin with the name of the one below it."""
    return re.findall(r"^\| `(\w[\w-]*)( [^`]*)?` \|", (ROOT / "docs/cli.md").read_text(encoding="utf-8"), re.M)


def below(name: str, words: str) -> click.Command:
    """The command of a row, in a group also."""
    command = cli.commands[name]
    return command.commands[words.split()[0]] if isinstance(command, click.Group) else command


def commands() -> dict[str, click.Command]:
    found = {}
    for name, command in cli.commands.items():
        if isinstance(command, click.Group):
            found |= {f"{name} {sub}": one for sub, one in command.commands.items()}
        else:
            found[name] = command
    return found


def test_every_command_is_described_and_no_other() -> None:
    grouped = {name for name, command in cli.commands.items() if isinstance(command, click.Group)}
    rows = {f"{name} {words.split()[0]}" if name in grouped else name for name, words in described()}
    assert rows == set(commands())


def test_every_option_in_the_description_exists() -> None:
    for name, words in described():
        known = {option for parameter in below(name, words).params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", words)) <= known, (name, words)


def test_every_command_has_help() -> None:
    for name, command in {**cli.commands, **commands()}.items():
        assert command.help, name


def families() -> dict[str, frozenset[str]]:
    found = {}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.CodedError) and kind is not errors.CodedError:
            found[kind.__name__] = kind.codes
    return found


def listed() -> dict[str, frozenset[str]]:
    """`## Family` and under it a table whose first column is a code."""
    found: dict[str, set[str]] = {}
    family = ""
    for line in (ROOT / "docs/spec/errors.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            family = line[3:].strip()
            found[family] = set()
        elif (match := re.match(r"\| `([a-z_]+)` \|", line)) is not None:
            found[family].add(match[1])
    return {name: frozenset(codes) for name, codes in found.items()}


def test_the_specification_lists_every_code_in_its_family() -> None:
    codes = listed()
    for name, family in families().items():
        assert codes[name] == family, name


def test_the_specification_lists_every_crypto_code() -> None:
    codes = {
        kind.code
        for kind in vars(crypto_errors).values()
        if isinstance(kind, type)
        and issubclass(kind, crypto_errors.CryptoError)
        and kind is not crypto_errors.CryptoError
    }
    assert listed()["CryptoError"] == codes
