"""What professionals say to a family, and what the family takes over."""

from __future__ import annotations

import click

from eigenkring import incoming as said
from eigenkring.cli.session import Globals, opened, pass_globals
from eigenkring.said import What


def _say(options: Globals, grant: str, what: What, text: str, *, why: str = "", of: str = "") -> None:
    with options.device() as device:
        device.sync_quietly()
        device.say(grant, what, text, why=why, of=of)
        device.sync_quietly()
        options.show({"said": what})


@click.command()
@click.argument("grant")
@click.argument("question")
@click.argument("text")
@pass_globals
def answer(options: Globals, grant: str, question: str, text: str) -> None:
    """As a professional: answer a question of the family. QUESTION is its id in your view."""
    _say(options, grant, "answer", text, of=question)


@click.command(name="answer-help")
@click.argument("grant")
@click.argument("request")
@click.argument("text")
@pass_globals
def answer_help(options: Globals, grant: str, request: str, text: str) -> None:
    """As a professional: answer a request for help."""
    _say(options, grant, "answer_help", text, of=request)


@click.command(name="propose-condition")
@click.argument("grant")
@click.argument("text")
@click.option("--why", required=True, help="Why this must be safe.")
@pass_globals
def propose_condition(options: Globals, grant: str, text: str, why: str) -> None:
    """As a professional: say what must be safe, and why. The family decides how."""
    _say(options, grant, "condition", text, why=why)


@click.command()
@click.argument("grant")
@click.argument("text")
@pass_globals
def need(options: Globals, grant: str, text: str) -> None:
    """As a professional: say what you need to trust this plan."""
    _say(options, grant, "need", text)


@click.command()
@click.argument("grant")
@click.argument("text")
@pass_globals
def ask(options: Globals, grant: str, text: str) -> None:
    """As a professional: ask the family something."""
    _say(options, grant, "ask", text)


@click.command()
@click.argument("case")
@pass_globals
def incoming(options: Globals, case: str) -> None:
    """What professionals said, and nobody took over yet."""
    with opened(options, case) as one:
        options.show({"incoming": said.incoming(one)})


@click.command()
@click.argument("case")
@click.argument("incoming")
@pass_globals
def take(options: Globals, case: str, incoming: str) -> None:
    """Write what a professional said into the part where it belongs."""
    with opened(options, case) as one:
        options.show(said.take(one, incoming))


COMMANDS = [answer, answer_help, propose_condition, need, ask, incoming, take]
