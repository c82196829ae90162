"""The screens that tools/shots.py lists by the keyboard alone, by what a screen reader says, and on paper; what they say when
reading or doing fails. That each of them is clean is asked in test_every_screen.py.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FileChooser, Page, expect

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import look  # noqa: E402
import screens  # noqa: E402
from shots import ACTS, CASE, FATIMA, SAM, SECRET, Shot, press  # noqa: E402

pytestmark = pytest.mark.browser

# What has the focus: its name for tests, whether one sees that it has it, and whether one sees the thing itself.
FOCUS = """() => {
  const one = document.activeElement;
  const shown = one.matches('.sr, input[type=file]') ? one.closest('label') ?? one.nextElementSibling ?? one : one;
  const box = shown.getBoundingClientRect();
  const style = getComputedStyle(shown);
  const at = document.elementFromPoint(box.x + box.width / 2, box.y + Math.min(box.height, 40) / 2);
  return {
    test: one.dataset.test ?? one.tagName.toLowerCase(),
    ringed: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
    seen: one.matches('body, .skip') || !!at && (shown.contains(at) || at.contains(shown)),
  };
}"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with screens.rehearsal() as found:
        yield found


def test_a_page_that_cannot_be_read_says_where_one_is_and_what_to_do(browser: Browser, address: str) -> None:
    stage = screens.Stage(browser, address, screens.LOOKS[0])
    page = stage.page
    failed = []
    for shot in look.pages():
        stage.play(replace(shot, scene="error"))
        if page.locator("[data-test=trouble]:visible").count() == 0:
            continue
        failed.append(shot.name)
        assert page.locator("h1:visible").count() == 1, f"{shot.name}: nothing says where one is"
        assert page.evaluate("document.activeElement.tagName") == "H1", f"{shot.name}: a screen reader is nowhere"
        assert page.locator("[data-test=back], nav:visible, [data-test=to-start]").count() > 0, (
            f"{shot.name}: no way on"
        )
        assert list(stage.plain()) == []
    assert len(failed) > 30
    stage.context.close()


# Whether it lies between the bars, where the eye is.
IN_SIGHT = """() => {
  const box = document.querySelector('[data-test=trouble]').getBoundingClientRect();
  const nav = document.querySelector('nav');
  return box.top >= document.querySelector('header').getBoundingClientRect().bottom - 1
    && box.bottom <= (nav ? nav.getBoundingClientRect().top : innerHeight) + 1;
}"""


@pytest.mark.long
def test_what_failed_is_said_where_the_eye_is(browser: Browser, address: str) -> None:
    stage = screens.Stage(browser, address, screens.LOOKS[0])
    page = stage.page
    for scene in ("stuck", "offline"):
        for shot in ACTS:
            # Without internet the link itself does not open, and what is written waits on the phone.
            if scene == "offline" and shot.name in ("50-join", "50-accept"):
                continue
            stage.play(replace(shot, scene=scene))
            trouble = page.locator("[data-test=trouble]:visible")
            if trouble.count() == 0:
                assert scene == "offline" or shot.name == "56-report", f"{shot.name}: nothing is said"
                continue
            assert trouble.count() == 1, f"{shot.name}: said twice"
            stage.settle()
            assert page.evaluate(IN_SIGHT), f"{shot.name}, {scene}: said where nobody looks"
            if scene == "offline":
                expect(trouble).to_contain_text("Probeer het straks opnieuw.")
            assert list(stage.plain()) == []
    stage.context.close()


def test_a_no_is_a_good_answer(browser: Browser, address: str) -> None:
    stage = screens.Stage(browser, address, screens.LOOKS[0])
    page = stage.page
    for link, line in (
        (SECRET, "Nora krijgt hier geen bericht van."),
        (f"Grant{SECRET}", "De familie krijgt hier geen"),
    ):
        stage.play(Shot("no", f"#{link}", "new", do=press("join-no")))
        expect(page.locator("h1")).to_have_text("Dat is goed.")
        expect(page.locator("main")).to_contain_text(line)
    stage.context.close()


def test_nobody_has_a_tick_who_was_not_let_in(browser: Browser, address: str) -> None:
    stage = screens.Stage(browser, address, screens.LOOKS[0])
    page = stage.page
    stage.play(Shot("letin", f"#/case/{CASE}/part/contacts@{FATIMA}", "fatima", "offline", do=press("letin")))
    box = page.locator("[data-test=letin-one]").first
    box.click()
    expect(page.locator("[data-test=trouble]")).to_be_visible()
    expect(box).not_to_be_checked()
    stage.context.close()


@pytest.mark.long
def test_the_bar_lies_over_nothing_however_large_the_letters(browser: Browser, address: str) -> None:
    """Beside the page where there is room, else at the bottom, where the page leaves it room."""
    over = """() => {
      const [nav, page] = ['nav', 'main > *'].map((one) => document.querySelector(one).getBoundingClientRect());
      return nav.right > page.left && nav.left < page.right && nav.top < innerHeight / 2;
    }"""
    for large in (0, 1, 2):
        for width in (390, 1024, 1120, 1280, 1920):
            stage = screens.Stage(browser, address, screens.LOOKS[0]._replace(width=width, height=800))
            stage.play(Shot("plan", f"#/case/{CASE}/plan"))
            stage.page.evaluate("size => size && document.documentElement.classList.add(`text-${size}`)", large)
            assert not stage.page.evaluate(over), f"letters {large} at {width}"
            assert list(stage.plain()) == []
            stage.context.close()


class Keyboard:
    """Hands on the keys, nothing else."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.passed: list[str] = []

    def to(self, name: str) -> None:
        """Tab until it has the focus; each thing on the way shows that it has it, and lies under nothing."""
        for _ in range(60):
            self.page.keyboard.press("Tab")
            focus = self.page.evaluate(FOCUS)
            self.passed.append(focus["test"])
            assert focus["test"] == "body" or (focus["ringed"] and focus["seen"]), focus
            if focus["test"] == name:
                return
        raise AssertionError(f"Tab does not lead to {name}: {self.passed[-60:]}")

    def press(self, name: str, key: str = "Enter") -> None:
        self.to(name)
        self.page.keyboard.press(key)
        self.page.evaluate(screens.SETTLED)

    def write(self, name: str, text: str) -> None:
        self.to(name)
        self.page.keyboard.type(text)


def begins(page: Page, heading: str) -> None:
    """Where a screen reader is after a new screen: on its heading, or nowhere."""
    expect(page.locator("h1:focus")).to_have_text(heading)


def is_on(page: Page, name: str) -> None:
    expect(page.locator(f"[data-test={name}]:focus")).to_have_count(1)


def test_a_plan_by_the_keyboard_alone(browser: Browser, address: str) -> None:
    stage = screens.Stage(browser, address, screens.LOOKS[0])
    page, keys = stage.page, Keyboard(stage.page)
    stage.play(Shot("start", "#/", "new"))
    keys.press("start")
    begins(page, "Wat is uw vraag?")
    keys.write("start-question", "Hoe blijven we samen?")
    keys.press("start-next")
    begins(page, "Wie vinden het belangrijk dat het goed met u gaat?")
    keys.write("start-person", "Fatima")
    page.keyboard.press("Enter")
    is_on(page, "start-person")  # the next name at once
    keys.press("start-next")
    keys.write("start-name", "Nora")
    page.keyboard.press("Enter")
    page.evaluate(screens.SETTLED)
    begins(page, "Thuis bij Nora")
    # Past the bars at once.
    page.keyboard.press("Tab")
    page.evaluate("document.querySelector('.skip').focus()")
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    keys.press("nav-plan")
    begins(page, "Plan")
    keys.press("summary", "Space")
    # Who can read this.
    expect(page.locator("[data-test=who-reads]")).to_have_attribute("open", "")
    keys.press("plan-add")
    keys.write("agreement-what", "Fatima komt zes weken")
    keys.press("agreement-save")
    expect(page.locator("[data-test=agreement]")).to_have_count(1)
    keys.press("agreement-edit")
    keys.press("agreement-delete")
    expect(page.locator(":focus")).to_have_attribute("aria-label", "Wilt u deze afspraak weghalen?")
    keys.press("agreement-delete-no")
    is_on(page, "agreement-delete")  # back where one was
    assert stage.said == []
    stage.context.close()


def test_giving_access_by_the_keyboard_alone(browser: Browser, address: str) -> None:
    stage = screens.Stage(browser, address, screens.LOOKS[0])
    page, keys = stage.page, Keyboard(stage.page)
    stage.play(Shot("access", f"#/case/{CASE}/access"))
    keys.press("access-give")
    begins(page, "Laat iemand iets lezen")
    keys.write("give-to", "Van Dam")
    keys.write("give-purpose", "Meedenken over school")
    keys.press("give-part-plan", "Space")
    keys.press("give-preview")
    # What the other one sees comes before the yes, and is read from its heading.
    begins(page, "Bekijk als Van Dam")
    keys.press("give-yes")
    begins(page, "Een link voor Van Dam")
    keys.press("give-done")
    begins(page, "Laten lezen")
    expect(page.locator("main")).to_contain_text("Van Dam")
    assert stage.said == []
    stage.context.close()


def test_removing_somebody_by_the_keyboard_alone(browser: Browser, address: str) -> None:
    stage = screens.Stage(browser, address, screens.LOOKS[0])
    page, keys = stage.page, Keyboard(stage.page)
    stage.play(Shot("person", f"#/case/{CASE}/person/{FATIMA}"))
    begins(page, "Fatima")
    keys.press("remove")
    # What is asked is read before its answers.
    expect(page.locator(":focus")).to_have_attribute("aria-label", "Moet Fatima uit de kring?")
    keys.press("remove-no")
    is_on(page, "remove")  # back where one was
    page.keyboard.press("Enter")
    keys.press("remove-yes")
    begins(page, "Kring")
    expect(page.locator("[data-test=people]").get_by_text("Fatima", exact=True)).to_have_count(0)
    assert stage.said == []
    stage.context.close()


def test_beginning_anew_moving_and_a_lost_phone_by_the_keyboard_alone(browser: Browser, address: str) -> None:
    stage = screens.Stage(browser, address, screens.LOOKS[0])
    page, keys = stage.page, Keyboard(stage.page)
    # Asked for long before: Chromium is told so beside the key that opens it, and a busy one heard the key first.
    choosers: list[FileChooser] = []
    page.on("filechooser", lambda one: choosers.append(one))
    stage.play(Shot("bring", "#/bring", "new"))
    begins(page, "Opnieuw beginnen met een kopie")
    keys.to("bring-file")
    page.keyboard.press("Enter")
    give_up = time.monotonic() + 60
    while not choosers:
        assert time.monotonic() < give_up, "no file is asked for"
        page.wait_for_timeout(50)
    file = {"name": "kring.zip", "mimeType": "application/zip", "buffer": bytes(200)}
    choosers[0].set_files([file])  # type: ignore[list-item]
    page.locator("[data-test=looked]").wait_for()
    page.evaluate(screens.SETTLED)
    is_on(page, "looked")  # what the file holds is read first
    keys.to("bring-name")
    keys.press("bring")
    keys.press("bring-yes")
    begins(page, "Uw kring staat weer klaar")
    keys.press("bring-go")

    stage.play(Shot("move", "#/move"))
    keys.press("move-make")
    begins(page, "Nu nog drie stappen")
    expect(page.get_by_role("button", name="Kopieer het adres", exact=True)).to_be_visible()
    keys.press("move-back")
    keys.press("move-back-yes")
    expect(page.locator("[data-test=move-gone]")).to_be_visible()

    stage.play(Shot("lost", f"#/case/{CASE}/lost/{FATIMA}"))
    begins(page, "Fatima is de telefoon kwijt")
    keys.press("lost-anew")
    keys.press("lost-anew-yes")
    begins(page, "Een link voor Fatima")
    assert stage.said == []
    stage.context.close()


def test_beside_the_page_nothing_lies_under_the_bar_that_says_there_is_no_internet(
    browser: Browser, address: str
) -> None:
    stage = screens.Stage(browser, address, screens.LOOKS[0]._replace(width=1280, height=800))
    stage.play(Shot("overview", f"#/case/{CASE}", scene="offline"))
    boxes = "['nav', 'header'].map((one) => document.querySelector(one).getBoundingClientRect())"
    assert stage.page.evaluate(f"(() => {{ const [nav, bar] = {boxes}; return nav.top >= bar.bottom }})()")
    stage.context.close()


def test_nothing_is_unnamed_and_nothing_is_named_twice(browser: Browser, address: str) -> None:
    """In the tree that screen readers read: each control has a name, and two of one kind and name lead to one place."""
    twins = r"""() => {
      const seen = new Map(), found = [];
      for (const one of document.querySelectorAll('main a, main button')) {
        if (!one.checkVisibility() || one.closest('[hidden], .sr')) continue;
        const name = (one.getAttribute('aria-label') ?? one.textContent).replace(/\s+/g, ' ').trim();
        if (!name) { found.push(`unnamed: ${one.outerHTML.slice(0, 100)}`); continue; }
        if (!one.matches('a')) continue;
        const before = seen.get(name);
        if (before && before !== one.href) found.push(`two places of one name: ${name}`);
        seen.set(name, one.href);
      }
      return found;
    }"""
    stage = screens.Stage(browser, address, screens.LOOKS[0])
    for shot in look.pages():
        stage.play(shot)
        assert stage.page.evaluate(twins) == [], shot.name
        tree = stage.page.locator("body").aria_snapshot()
        for role in ("button", "link", "textbox", "checkbox", "radio", "combobox"):
            assert f"- {role}\n" not in tree and f"- {role}:" not in tree, (
                f"{shot.name}: a {role} without a name\n{tree}"
            )
    stage.context.close()


def test_who_may_not_read_is_not_told_that_there_is_nothing(browser: Browser, address: str) -> None:
    stage = screens.Stage(browser, address, screens.LOOKS[0])
    page = stage.page
    stage.play(Shot("plan", f"#/case/{CASE}/plan", "anneke"))
    expect(page.locator("[data-test=plan-closed]")).to_contain_text("nog niet voor u open")
    expect(page.locator("main")).not_to_contain_text("nog geen afspraken")
    stage.play(Shot("child", f"#/case/{CASE}/part/house@{SAM}", "fatima"))
    expect(page.locator("main")).to_contain_text("Deze bladzijde is van Sam.")
    expect(page.locator("main")).to_contain_text("De eigen bladzijde van een kind.")
    # What speaks to the child is for the child.
    for words in ("Jouw", "Jij kiest", "Kindertelefoon"):
        expect(page.locator("main")).not_to_contain_text(words)
    stage.play(Shot("own", f"#/case/{CASE}/part/house@{SAM}", "sam"))
    expect(page.locator("main")).to_contain_text("Jij kiest wie hem leest.")
    stage.play(Shot("decisions", f"#/case/{CASE}/part/decisions", "anneke"))
    expect(page.locator("[data-test=decisions-closed]")).to_be_visible()
    expect(page.locator("main")).not_to_contain_text("nog geen voorstellen")
    stage.context.close()


def test_an_own_second_device_is_told_to_open_the_first(browser: Browser, address: str) -> None:
    stage = screens.Stage(browser, address, screens.LOOKS[0])
    page = stage.page
    stage.play(Shot("own", f"#Own{SECRET}", "new", do=press("join-yes")))
    begins(page, "Open de app op uw andere toestel")
    expect(page.locator("main")).not_to_contain_text("Stuur een berichtje")
    # Nobody else is waiting for it: with an invitation it is somebody else who opens the app.
    stage.play(Shot("invited", f"#{SECRET}", "new", do=press("join-yes")))
    begins(page, "Uw antwoord is verstuurd")
    stage.context.close()


def test_what_a_screen_reader_says(browser: Browser, address: str) -> None:
    stage = screens.Stage(browser, address, screens.LOOKS[0])
    page = stage.page

    def says(*lines: str) -> None:
        """These lines, in this order, in the tree that screen readers read."""
        give_up = time.monotonic() + 60
        while True:
            tree, at = page.locator("body").aria_snapshot(), 0
            for line in lines:
                found = tree.find(line, at)
                if found < 0:
                    break
                at = found + len(line)
            else:
                return
            assert time.monotonic() < give_up, f"{line!r} is not said after {lines}:\n{tree}"
            page.wait_for_timeout(50)

    stage.play(Shot("invited", f"#{SECRET}", "new"))
    # No name of a person where others look over a shoulder.
    expect(page).to_have_title("Uitnodiging · Kring")
    begins(page, "Nora vraagt of u meedenkt.")
    says(
        "banner",
        "main",
        'heading "Nora vraagt of u meedenkt." [level=1]',
        "Meedenken is praten.",
        'textbox "Uw naam": Fatima',
        "Wat u schrijft, leest de kring van Nora.",
        'button "Ja"',
        'button "Nee"',
    )
    page.locator("[data-test=join-name]").fill("")
    page.locator("[data-test=join-yes]").click()
    says("alert: Vul uw naam in.")
    page.locator("[data-test=join-name]").fill("Fatima")
    page.locator("[data-test=join-yes]").click()
    page.evaluate(screens.SETTLED)
    begins(page, "Uw antwoord is verstuurd")

    stage.play(Shot("overview", f"#/case/{CASE}"))
    says(
        'heading "Thuis bij Nora" [level=1]',
        'heading "De vraag" [level=2]',
        'heading "De kring" [level=2]',
        "14 mensen",
        'heading "Wat op u wacht" [level=2]',
        "2 dingen kwamen binnen",
        "Wie kan dit lezen?",
        'navigation "',
        'link "Overzicht"',
    )
    # A choice that cannot be taken back is said whole before it is asked; what was done is said without looking.
    stage.play(Shot("stop", f"#/case/{CASE}/grant/g1"))
    page.locator("[data-test=withdraw]").click()
    says(
        'group "Stopt u met laten lezen aan De Wit?"',
        "Wat iemand al zag, kunt u niet terughalen.",
        'button "Ja, stop"',
        'button "Nee"',
    )
    page.locator("[data-test=withdraw-yes]").click()
    expect(page.locator("p[role=status].sr")).to_have_text("Gestopt met laten lezen.")
    stage.play(Shot("view", "#/view/g1", "dewit"))
    says('heading "Van Nora" [level=1]', "Alleen voor De Wit", 'heading "Veiligheid" [level=2]')
    assert "De Wit · " not in page.locator("body").aria_snapshot(), "the mark across the page is for eyes only"
    stage.play(Shot("round", f"#/case/{CASE}/decision/{'d1' * 10}"))
    says('heading "', 'button "')
    assert stage.said == []
    stage.context.close()


OFFER = """() => {
  const event = new Event('beforeinstallprompt', {cancelable: true});
  window.asked = 0;
  event.prompt = async () => { window.asked += 1; return {outcome: 'dismissed'}; };
  dispatchEvent(event);
  return event.defaultPrevented;
}"""


def test_keeping_is_asked_after_the_own_first_words_and_installing_once(browser: Browser, address: str) -> None:
    stage = screens.Stage(browser, address, screens.LOOKS[0])
    page = stage.page
    keep, install = page.locator("[data-test=keep]"), page.locator("[data-test=install]")
    stage.play(Shot("invited", f"#/case/{CASE}", "fatima"))
    expect(keep).to_have_count(0)
    stage.play(Shot("wrote", f"#/case/{CASE}", "eva"))
    page.locator("[data-test=keep-home]").click()
    expect(keep).to_contain_text("Zet op beginscherm")
    expect(install).to_have_count(0)
    assert page.evaluate(OFFER), "the browser asks nobody by itself"
    assert page.evaluate("asked") == 0
    install.click()
    expect(page.locator("[data-test=keep-home]")).to_have_count(0)
    page.wait_for_function("asked === 1")
    # A no is an answer: the offer stays in the settings, where nobody is asked.
    assert page.evaluate(OFFER)
    stage.play(Shot("wrote", f"#/case/{CASE}", "eva"))
    expect(keep).to_have_count(1)
    expect(page.locator("[data-test=keep-home]")).to_have_count(0)
    stage.play(Shot("settings", "#/settings", "eva"))
    expect(install).to_have_count(1)
    assert stage.said == []
    stage.context.close()


def test_a_lock_says_how_strong_it_is_before_one_trusts_it(browser: Browser, address: str) -> None:
    stage = screens.Stage(browser, address, screens.LOOKS[0])
    page = stage.page
    stage.play(Shot("lock", "#/settings"))
    # What pwa/src/app/store-keys.ts does: FREE_TRIES, and what one try costs.
    for words in (
        "na vijf keer fout moet die steeds langer wachten",
        "een code van zes cijfers te raden",
        "wij ook niet",
    ):
        expect(page.locator("main")).to_contain_text(words)
    for name in ("pin-new", "pin-again"):
        page.locator(f"[data-test={name}]").fill("246810")
    page.locator("[data-test=pin-save]").click()
    expect(page.locator("[data-test=passkey-add]")).to_have_count(1)
    expect(page.locator("main")).to_contain_text("Zo sterk als het slot van uw telefoon.")
    expect(page.locator("main")).to_contain_text("telt dat account ook mee")
    stage.context.close()


def test_a_second_link_that_fails_does_not_stand_under_the_first_one(browser: Browser, address: str) -> None:
    """Whoever said yes there would have said it to the first."""
    stage = screens.Stage(browser, address, screens.LOOKS[0])
    page = stage.page
    stage.play(Shot("invited", f"#{SECRET}", "new"))
    expect(page.locator("[data-test=join-yes]")).to_be_visible()
    page.evaluate("(link) => { location.hash = link }", f"#Used{SECRET}")
    expect(page.locator("[data-test=trouble]")).to_be_visible()
    expect(page.locator("[data-test=join-yes]")).to_have_count(0)
    expect(page.locator("h1:visible")).to_have_text("Deze link gaat niet open")
    # And the first one, opened again, is asked as before.
    page.evaluate("(link) => { location.hash = link }", f"#{SECRET}")
    expect(page.locator("[data-test=join-yes]")).to_be_visible()
    expect(page.locator("[data-test=trouble]")).to_have_count(0)
    stage.context.close()


def test_an_own_device_and_a_visitor_are_asked_in_their_own_words(browser: Browser, address: str) -> None:
    stage = screens.Stage(browser, address, screens.LOOKS[0])
    stage.play(Shot("words", f"#/case/{CASE}", scene="words"))
    waits = stage.page.locator("[data-test=waits]")
    expect(waits).to_contain_text("Vergelijk vier woorden met Bas")
    expect(waits).to_contain_text("Uw nieuwe toestel wil erbij")
    expect(waits).not_to_contain_text("Vergelijk vier woorden met Nora")
    stage.context.close()


def test_a_forgotten_code_says_what_is_lost_and_leads_to_the_way_back(browser: Browser, address: str) -> None:
    stage = screens.Stage(browser, address, screens.LOOKS[0])
    page = stage.page
    stage.play(Shot("locked", "#/", scene="locked", do=press("lock-forgotten", "lock-wipe")))
    expect(page.locator("main")).to_contain_text("Wat u schreef en nog niet verstuurd was, is dan kwijt.")
    expect(page.locator("main")).to_contain_text("De plek van een ander op dit toestel blijft zoals die is.")
    page.locator("[data-test=lock-wipe-yes]").click()
    expect(page.locator("[data-test=back-code]")).to_be_visible()
    expect(page.locator("[data-test=back-none]")).to_contain_text("Iemand is de telefoon kwijt")
    stage.context.close()


def test_what_a_browser_cleared_away_is_told_with_the_way_back(browser: Browser, address: str) -> None:
    stage = screens.Stage(browser, address, screens.LOOKS[0])
    page, gone = stage.page, stage.page.locator("[data-test=gone]")
    stage.play(Shot("first day", "#/", "new"))
    expect(gone).to_have_count(0)
    stage.play(Shot("home", "#/"))
    stage.play(Shot("cleared", "#/", "new"))
    begins(page, "Uw plan staat niet meer op dit toestel")
    expect(gone).to_contain_text("Bij de anderen van uw kring staat alles nog.")
    stage.play(Shot("in a tab", f"#/case/{CASE}/plan", "new"))
    begins(page, "Uw plan staat niet meer op dit toestel")
    page.locator("[data-test=gone-start]").click()
    expect(page.locator("[data-test=start]")).to_be_visible()
    # An address that somebody passed on is no loss, and nobody is told that it is.
    stage.play(Shot("passed on", f"#/case/{CASE}", "new"))
    begins(page, "Dit plan staat niet op dit toestel")
    # Whoever ended it themselves is told nothing.
    stage.play(Shot("home", "#/"))
    stage.play(Shot("erased", f"#/case/{CASE}/along", do=press("erase", "erase-yes")))
    stage.play(Shot("after", "#/", "new"))
    expect(gone).to_have_count(0)
    stage.context.close()


def paper(page: Page) -> tuple[int, str]:
    """How many sheets a printer gives, and what is on them."""
    page.emulate_media(media="print")
    page.locator(".on-paper").wait_for()
    seen = page.evaluate("document.body.innerText")
    sheets = page.pdf(format="A4", print_background=True).count(b"/Type /Page\n")
    # Printed, and still shown as on paper: the end of one printing is not the end of that.
    expect(page.locator(".on-paper")).to_be_visible()
    page.emulate_media(media="screen")
    return sheets, seen


def test_the_note_and_the_plan_go_on_one_sheet_of_paper(browser: Browser, address: str) -> None:
    stage = screens.Stage(browser, address, screens.LOOKS[0])
    page = stage.page
    page.emulate_media(color_scheme="dark")
    stage.play(Shot("paper", "#/paper", do=press("paper-make")))
    code = page.locator("[data-test=paper-code]").inner_text().split()
    sheets, seen = paper(page)
    assert (sheets, [word for word in seen.split() if word in code]) == (1, code)
    for words in ("Kopie, ", "Briefje om terug te komen"):
        assert words in seen
    for words in ("Print", "Verberg", "Wie kan dit lezen?", "Klaar"):
        assert words not in seen, "nothing to press, nothing of the app"
    stage.play(Shot("plan", f"#/case/{CASE}/plan"))
    sheets, seen = paper(page)
    assert sheets == 1
    for words in ("Kopie, ", "Fatima komt zes weken bij ons wonen", "Nora met Fatima", "Dit papier verandert niet mee"):
        assert words in seen, words
    for words in ("Nieuwe afspraak", "Wijzig", "Overzicht", "Wie kan dit lezen?"):
        assert words not in seen, words
    ink = "getComputedStyle(document.querySelector('.on-paper td')).color"
    page.emulate_media(media="print", color_scheme="dark")
    page.locator(".on-paper").wait_for()
    assert page.evaluate(ink) == "rgb(0, 0, 0)"
    page.emulate_media(media="screen")
    expect(page.locator(".on-paper")).to_have_count(0)
    stage.context.close()
