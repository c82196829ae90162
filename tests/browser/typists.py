"""Who types commands comes into a case that a phone began: for the walks in which not everybody has the app."""

from __future__ import annotations

from browser.phones import Phone
from journeys.here import Here
from journeys.people import Failed
from live_relay import LiveRelay


def inside(here: Here, case: str) -> bool:
    try:
        here.run("show", case, "question")
        return True
    except Failed as refused:
        assert refused.code == "not_yet", refused.code
        return False


def comes(phone: Phone, relay: LiveRelay, case: str, here: Here, name: str) -> None:
    phone.page.goto(f"{relay.url}/#/case/{case}/invite/{name}")
    phone.at("invite-make").click()
    here.run("join", phone.link(), "--as", name)
    phone.look_until(lambda: inside(here, case))
