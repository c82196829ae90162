"""The first evening in the other browsers' engines: Nora has a phone with WebKit or Firefox, her family types commands.

So what these engines make themselves (signatures, key agreement, the lock, the store) is opened by Python, and the reverse.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from browser.drivers import Driven, firefox, webkit
from browser.phones import DIST, DUMP, WAITS, folder
from journeys.here import Here
from journeys.people import Failed
from journeys.wiretap import Wiretap, wiretap
from live_relay import live_relay

pytestmark = pytest.mark.browser

QUESTION = "KANARIEVRAAG hoe blijven Sam en Eva thuis"
HERS = "KANARIEFATIMA ik kom zes weken bij jullie wonen"
MINE = "KANARIENORA Karim brengt Sam op dinsdag naar voetbal"
CHANGED = "KANARIEANDERS ik kom acht weken bij jullie wonen"
PURPOSE = "KANARIEDOEL zodat u kunt meedenken"
TITLE = "Thuis bij Nora"
ASKED = "KANARIEGEVRAAGD kan iemand mee naar school"
ANSWER = "KANARIEANTWOORD ik ga maandag mee"
PIN = "739154"
CANARIES = (QUESTION, HERS, MINE, CHANGED, PURPOSE, TITLE, ASKED, ANSWER, "Fatima", "De Wit")


@pytest.fixture
def tap(tmp_path: Path) -> Iterator[Wiretap]:
    with live_relay(tmp_path / "relay", pwa_dir=DIST) as relay, wiretap(relay.url) as between:
        yield between


@pytest.fixture(params=[firefox, webkit], ids=["firefox", "webkit"])
def new_phone(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Driven]]:
    with ExitStack() as phones:
        yield lambda name: phones.enter_context(request.param(tmp_path / name))


def in_dutch(phone: Driven, address: str) -> None:
    phone.open(address)
    phone.run("localStorage.setItem('settings', JSON.stringify({ lang: 'nl', textSize: 0 }))")
    phone.open(address)


CODE = "return [...document.querySelectorAll('[data-test=\"paper-code\"] li')].map((one) => one.innerText).join('-')"


def nothing_in(heard: bytes) -> None:
    for canary in CANARIES:
        for written in (canary.encode(), canary.encode("utf-16-le"), base64.b64encode(canary.encode())[:-3]):
            assert written not in heard, canary


def wait_for(seen: Callable[[], bool], phone: Driven) -> None:
    give_up = time.monotonic() + 150
    while True:
        try:
            if seen():
                return
        except Failed as refused:
            assert refused.code in ("not_yet", "no_stream"), refused.code
        assert time.monotonic() < give_up, phone.text()
        phone.run("document.dispatchEvent(new Event('visibilitychange'))")
        time.sleep(0.3)


def test_the_first_evening(
    new_phone: Callable[[str], Driven], tap: Wiretap, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    phone = new_phone("phone")
    pictures = folder(tmp_path, request.node.name.replace("[", "-").replace("]", ""))
    fatima, wit = Here(tmp_path / "fatima"), Here(tmp_path / "wit")

    # Nora starts, in three steps.
    in_dutch(phone, tap.url)
    phone.click("start")
    phone.fill("start-question", QUESTION)
    phone.click("start-next")
    phone.click("start-next")
    phone.fill("start-name", "Nora")
    phone.fill("start-title", TITLE)
    phone.click("start-keep")
    phone.sees(QUESTION)
    assert "nieuwe versie" not in phone.text(), "the first version is offered as a newer one"
    phone.picture(pictures / "1-overzicht.png")
    case = phone.run("return location.hash.split('/')[2]")

    # Fatima joins, and both write, one of them without internet; and they meet.
    phone.open(f"{tap.url}/#/case/{case}/invite")
    phone.fill("invite-name", "Fatima")
    phone.click("invite-make")
    link = phone.value("link")
    phone.picture(pictures / "2-link.png")
    fatima.run("join", link, "--as", "Fatima")
    wait_for(lambda: QUESTION in str(fatima.run("show", case, "question")), phone)
    fatima.run("add", case, "plan", "agreements", f'{{"what": "{HERS}"}}', offline=True)
    phone.click("nav-plan")
    phone.click("plan-add")
    phone.fill("agreement-what", MINE)
    phone.click("agreement-save")
    phone.sees(MINE)
    phone.until(lambda: not phone.run(f"return {WAITS}"))
    assert HERS not in phone.text()
    fatima.run("sync")
    phone.sees(HERS)
    wait_for(lambda: MINE in str(fatima.run("show", case, "plan")), phone)
    phone.picture(pictures / "3-samen.png")

    # Something the circle must know.
    phone.open(f"{tap.url}/#/case/{case}/part/information")
    phone.until(lambda: phone.count("item-add"))
    phone.run('document.querySelector(\'[data-test="item-add"][data-collection="questions"]\').click()')
    phone.fill("item-text", ASKED)
    phone.click("item-save")
    phone.sees(ASKED)

    # De Wit may read that question and one agreement of the two, and no more than Nora saw in the preview.
    phone.open(f"{tap.url}/#/case/{case}/give")
    phone.fill("give-to", "De Wit")
    phone.fill("give-purpose", PURPOSE)
    phone.click("give-part-plan")
    phone.click("give-some-plan")
    phone.run("[...document.querySelectorAll('label')].find((one) => one.textContent.includes(given[0])).click()", MINE)
    phone.click("give-part-information")
    phone.click("give-preview")
    phone.until(lambda: phone.count("view-item") == 2)
    assert MINE in phone.text()
    assert ASKED in phone.text()
    assert HERS not in phone.text()
    phone.picture(pictures / "4-bekijk-als.png")
    phone.click("give-yes")
    given = wit.run("accept", phone.value("link"), "--as", "De Wit")["grant"]
    wait_for(lambda: MINE in str(wit.run("view", given)), phone)
    assert HERS not in str(wit.run("view", given))

    # De Wit answers, and Nora takes it over.
    (question,) = wit.run("view", given)["information"]["questions"]
    wit.run("answer", given, question[:8], ANSWER)
    phone.open(f"{tap.url}/#/case/{case}/incoming")
    phone.sees(ANSWER)
    phone.click("incoming-take")
    phone.until(lambda: phone.count("incoming-taken"))
    # Taken over is kept here first, and sent a moment later.
    wait_for(lambda: ANSWER in str(fatima.run("show", case, "information")), phone)

    # She stops it.
    phone.open(f"{tap.url}/#/case/{case}/access")
    phone.click("grant")
    phone.click("withdraw")
    phone.click("withdraw-yes")
    phone.until(lambda: phone.count("grant-stopped"))
    assert wit.refused("view", given) == "withdrawn"

    # Fatima is removed; what is written afterwards does not reach her.
    phone.click("nav-circle")
    phone.until(lambda: phone.count("person") == 2)
    phone.run(
        "[...document.querySelectorAll('[data-test=\"person\"]')].find((one) => one.innerText.includes('Fatima')).click()"
    )
    phone.click("remove")
    phone.click("remove-yes")
    phone.until(lambda: phone.count("people") == 1 and "Fatima" not in phone.text())
    phone.click("nav-plan")
    phone.click("plan-add")
    phone.fill("agreement-what", CHANGED)
    phone.click("agreement-save")
    phone.sees(CHANGED)
    phone.until(lambda: not phone.run(f"return {WAITS}"))
    fatima.run("sync")
    assert fatima.refused("show", case, "plan") == "removed"
    assert CHANGED.encode() not in fatima.bytes()

    # Locked: nothing on this phone can be read, and the code opens it, also after the page is loaded anew.
    phone.open(f"{tap.url}/#/settings")
    phone.fill("pin-new", PIN)
    phone.fill("pin-again", PIN)
    phone.click("pin-save")
    phone.until(lambda: phone.count("pin-away"))
    phone.click("hide")
    phone.click("unhide")
    phone.until(lambda: phone.count("lock-pin"))
    stored = str(phone.run(f"return await ({DUMP})()"))
    assert stored.count("\nrow") > 20, "the dump found nothing"
    assert "EXTRACTABLE" not in stored
    nothing_in(stored.encode("latin1", "replace") + stored.encode())
    phone.run("globalThis.before = true; location.reload()")
    phone.until(lambda: phone.run("return globalThis.before !== true") and phone.count("lock-pin"))
    # A code that is not there is a wrong one, in plain words, and no fault.
    phone.click("lock-open")
    phone.fill("lock-pin", PIN)
    phone.click("lock-open")
    phone.until(lambda: not phone.count("lock-pin"))
    phone.open(f"{tap.url}/#/case/{case}/plan")
    phone.sees(MINE)
    phone.picture(pictures / "5-weer-open.png")

    # Nora makes the paper, loses the phone, and comes back with nobody else there.
    phone.open(f"{tap.url}/#/paper")
    phone.click("paper-make")
    phone.until(lambda: phone.count("paper-code"))
    phone.until(lambda: phone.run(CODE))
    code = str(phone.run(CODE))
    phone.click("paper-done")
    again = new_phone("again")
    in_dutch(again, tap.url)
    again.click("come-back")
    again.fill("back-code", code.lower().replace("-", " "))
    again.click("back-do")
    again.until(lambda: again.count("came-back"))
    assert again.run(CODE) != code
    again.click("back-done")
    again.open(f"{tap.url}/#/case/{case}/plan")
    again.sees(CHANGED)
    again.picture(pictures / "6-terug.png")
    phone.until(lambda: phone.count("case-ended"))
    # What the phone that was lost held is taken away by who holds it, also in these engines.
    phone.click("ended-erase")
    phone.click("ended-erase-yes")
    phone.until(lambda: phone.count("start"))
    nothing_in(str(phone.run(f"return await ({DUMP})()")).encode("latin1", "replace"))
    assert len(tap.heard) > 100_000
    nothing_in(bytes(tap.heard))
