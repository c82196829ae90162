"""A person's own devices."""

from __future__ import annotations

import click

from eigenkring import own_devices
from eigenkring.cli.session import Globals, opened, pass_globals


@click.command(name="add-device")
@click.argument("case")
@pass_globals
def add_device(options: Globals, case: str) -> None:
    """A link for another device of your own. It works once and for an hour; show it to nobody else."""
    with opened(options, case) as one:
        options.show({"link": own_devices.add_device(one)})


@click.command()
@click.argument("case")
@pass_globals
def devices(options: Globals, case: str) -> None:
    """Your own devices in a case."""
    with opened(options, case) as one:
        options.show({"devices": own_devices.devices(one)})


@click.command(name="remove-device")
@click.argument("case")
@click.argument("device")
@pass_globals
def remove_device(options: Globals, case: str, device: str) -> None:
    """Put one of your own devices out, such as a lost phone. What it read cannot be taken back."""
    with opened(options, case) as one:
        options.show(own_devices.remove_device(one, device))


COMMANDS = [add_device, devices, remove_device]
