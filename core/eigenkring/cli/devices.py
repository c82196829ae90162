"""A person's own devices."""

from __future__ import annotations

import click

from eigenkring import moving_in, moving_out, own_devices, recovery
from eigenkring.cli.session import Globals, opened, pass_globals


@click.command(name="add-device")
@click.argument("case")
@click.option("--compare", is_flag=True, help="Compare four words on both screens before the keys are given.")
@pass_globals
def add_device(options: Globals, case: str, compare: bool) -> None:
    """A link for another device of your own. It works once and for an hour; show it to nobody else."""
    with opened(options, case) as one:
        options.show({"link": own_devices.add_device(one, compare=compare)})


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


@click.command(name="recovery-code")
@click.option("--old", default=None, help="The code that this one replaces: it does not work any more then.")
@pass_globals
def recovery_code(options: Globals, old: str | None) -> None:
    """A code for on paper: with it you come back when your phone is gone. Whoever has it can do all you can."""
    with options.device() as device:
        device.sync_quietly()
        options.show(recovery.make_code(device, old))


@click.command()
@click.argument("code")
@click.option("--relay", required=True, help="Address of the relay where your first case lies.")
@pass_globals
def recover(options: Globals, code: str, relay: str) -> None:
    """Come back with your recovery code, on an empty home. Your other devices are put out, and you get a new code."""
    with options.device() as device:
        options.show(recovery.recover(device, code, relay))


@click.command(name="moving-link")
@click.option("--take-back", is_flag=True, help="The link that is out does not work any more.")
@pass_globals
def moving_link(options: Globals, take_back: bool) -> None:
    """A link by which another device of your own moves in with nobody awake. It works once and for three days: until then
    whoever has it reads all that you may."""
    with options.device() as device:
        device.sync_quietly()
        if take_back:
            moving_out.take_back(device)
            options.show({"state": "none"})
        else:
            options.show(moving_out.make_address(device))


@click.command(name="move-in")
@click.argument("link")
@pass_globals
def move_in(options: Globals, link: str) -> None:
    """Move in with such a link. Your other devices stay, and the link is dead."""
    with options.device() as device:
        options.show(moving_in.move_in(device, link))


COMMANDS = [add_device, devices, remove_device, recovery_code, recover, moving_link, move_in]
