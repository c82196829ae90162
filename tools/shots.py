"""The screens that are rehearsed: which page, on whose phone, in which scene of the family, after which presses (tools/screens.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from playwright.sync_api import Page

CASE = "5e1f00c0ffee5e1f00c0ffee5e1f00c0"
NORA = "a0" + "0" * 11 + "100"
FATIMA = "a3" + "0" * 11 + "103"
RIA = "a5" + "0" * 11 + "105"
OPA = "0a" * 10
SAM = "a2" + "0" * 11 + "102"
ROUND, OBJECTED, CLEAR = (f"d{n}" * 10 for n in (1, 2, 3))
SECRET = "Q7x_mK2pVt-9sLw4" * 7


@dataclass(frozen=True)
class Shot:
    name: str
    route: str
    who: str = "nora"
    scene: str = "full"
    do: Callable[[Page], None] = field(default=lambda page: None)
    # Nothing of anybody is on it: locked, refused, or gone.
    bare: bool = False


def press(*names: str) -> Callable[[Page], None]:
    def run(page: Page) -> None:
        for name in names:
            page.locator(f"[data-test={name}]").first.click()

    return run


def fill(values: dict[str, str], *then: str) -> Callable[[Page], None]:
    def run(page: Page) -> None:
        for name, value in values.items():
            page.locator(f"[data-test={name}]").fill(value)
        press(*then)(page)

    return run


def choose(name: str, size: int) -> Callable[[Page], None]:
    """A file of so many bytes."""

    def run(page: Page) -> None:
        file = {"name": "kring.zip", "mimeType": "application/zip", "buffer": bytes(size)}
        page.locator(f"[data-test={name}]").set_input_files([file])  # type: ignore[list-item]
        page.locator("[data-test=verified]").wait_for()

    return run


def bringing(size: int, *then: str) -> Callable[[Page], None]:
    def run(page: Page) -> None:
        file = {"name": "kring.zip", "mimeType": "application/zip", "buffer": bytes(size)}
        page.locator("[data-test=bring-file]").set_input_files([file])  # type: ignore[list-item]
        page.locator("[data-test=looked]").wait_for()
        press(*then)(page)

    return run


def give(page: Page) -> None:
    fill({"give-to": "De Wit", "give-purpose": "Meedenken over veiligheid thuis"})(page)
    press("give-part-plan", "give-part-safety", "give-some-plan")(page)
    for n in (0, 2):
        page.locator("[data-test=give-item]").nth(n).check()


def give_and(*names: str) -> Callable[[Page], None]:
    def run(page: Page) -> None:
        give(page)
        press(*names)(page)

    return run


def steps(page: Page) -> None:
    fill({"start-question": "Hoe kom ik van mijn schulden af?"}, "start-next")(page)
    for name in ("Fatima", "Karim"):
        fill({"start-person": name}, "start-person-add")(page)


def third_step(page: Page) -> None:
    steps(page)
    press("start-next")(page)


def renew(page: Page) -> None:
    press("renew")(page)
    fill({"renew-to": "Van Dam"}, "renew-do")(page)


def compared(words: str, *then: str) -> Callable[[Page], None]:
    """Open a file that says what is to come of it (rehearsal-reports.ts)."""

    def run(page: Page) -> None:
        file = {"name": "van-fatima.txt", "mimeType": "text/plain", "buffer": words.encode()}
        page.locator("[data-test=report-file]").set_input_files(file)  # type: ignore[arg-type]
        page.locator("[data-test=report-result], [data-test=trouble]").first.wait_for()
        press(*then)(page)

    return run


def case(page: str = "", argument: str = "") -> str:
    return "#/" + "/".join(word for word in ("case", CASE, page, argument) if word)


SHOTS = [
    Shot("01-welcome", "#/", "new"),
    Shot("01-paste", "#/", "new", do=press("paste")),
    Shot("02-start-1", "#/start", "new"),
    Shot("02-start-2", "#/start", "new", do=steps),
    Shot("02-start-3", "#/start", "new", do=third_step),
    Shot("03-invited", f"#{SECRET}", "new"),
    Shot("03-invited-no", f"#{SECRET}", "new", do=press("join-no"), bare=True),
    Shot("03-invited-child", f"#Child{SECRET}", "new"),
    Shot("03-invited-coordinator", f"#Coord{SECRET}", "new"),
    Shot("03-invited-used", f"#Used{SECRET}", "new", bare=True),
    Shot("03-invited-long", f"#{SECRET}", "nora", "long"),
    Shot("04-waiting", case(), "fatima", "waiting"),
    Shot("04-waiting-own", f"#Own{SECRET}", "new", do=press("join-yes")),
    Shot("04-waiting-words", case(), "fatima", "words"),
    Shot("05-home", "#/"),
    Shot("05-home-long", "#/", scene="long"),
    Shot("06-overview", case()),
    Shot("06-overview-member", case(), "fatima"),
    Shot("06-overview-child", case(), "sam"),
    Shot("06-overview-coordinator", case(), "anneke"),
    Shot("06-overview-empty", case(), scene="empty"),
    Shot("06-overview-long", case(), scene="long"),
    Shot("06-overview-offline", case(), scene="offline"),
    Shot("06-overview-error", case(), scene="error", bare=True),
    Shot("06-overview-alarms", case(), scene="alarms"),
    Shot("06-overview-words", case(), scene="words"),
    Shot("06-ended", case(), "fatima", "stopped"),
    Shot("06-ended-closed", case(), "fatima", "over"),
    Shot("06-ended-take", case(), "fatima", "stopped", press("ended-take")),
    Shot("06-ended-erase", case(), "fatima", "stopped", press("ended-erase")),
    Shot("07-plan", case("plan"), do=press("who-reads")),
    Shot("07-plan-add", case("plan"), do=press("plan-add")),
    Shot("07-plan-edit", case("plan"), do=press("agreement-edit", "agreement-delete")),
    Shot("07-plan-empty", case("plan"), scene="empty"),
    Shot("07-plan-long", case("plan"), scene="long"),
    Shot("07-plan-progress", case("plan"), "fatima", do=press("progress-ask")),
    Shot("07-plan-closed", case("plan"), "anneke"),
    Shot("12-decisions-closed", case("part", "decisions"), "anneke", bare=True),
    Shot("07-plan-letin", case("plan"), do=press("letin")),
    Shot("08-question", case("question")),
    Shot("08-question-edit", case("question"), do=press("question-edit")),
    Shot("09-circle", case("circle"), do=press("circle-add")),
    Shot("09-circle-empty", case("circle"), scene="empty"),
    Shot("09-circle-long", case("circle"), scene="long"),
    Shot("09-circle-links", case("invite", "Bas"), do=press("invite-make", "invite-done", "link-away")),
    Shot("09-heard-add", case("heard", "Oma Bep")),
    Shot("09-heard", case("heard", OPA)),
    Shot("09-heard-member", case("heard", OPA), "fatima", do=press("who-reads")),
    Shot("09-heard-voice", case("part", f"voice@{RIA}"), "omaria", do=press("item-add")),
    Shot("09-heard-plan", case("plan"), "omaria", do=press("progress-ask")),
    Shot("09-heard-react", case("decision", CLEAR), "omaria", do=press("react")),
    Shot("09-lost", case("lost")),
    Shot("09-lost-long", case("lost"), scene="long"),
    Shot("09-lost-member", case("lost", FATIMA), do=press("lost-anew")),
    Shot("09-lost-link", case("lost", FATIMA), do=press("lost-anew", "lost-anew-yes")),
    Shot("09-lost-owner", case("lost", NORA), "fatima"),
    Shot("09-lost-two", case("lost", FATIMA), scene="two"),
    Shot("09-lost-two-link", case("lost", FATIMA), scene="two", do=press("lost-together", "lost-together-yes")),
    Shot("09-lost-three", case("lost", FATIMA), scene="three", do=press("lost-remove")),
    Shot("09-lost-asked", case("lost", NORA), "fatima", do=press("lost-ask")),
    Shot("09-lost-not-owner", case("lost", RIA), "fatima"),
    Shot("10-person", case("person", FATIMA), do=press("remove")),
    Shot("10-person-me", case("person", FATIMA), "fatima"),
    Shot("10-person-role", case("person", FATIMA), do=press("role")),
    Shot("10-without", case("without", FATIMA), do=press("without")),
    Shot("10-without-ready", case("without", FATIMA), do=press("without", "without-yes", "without-link")),
    Shot("10-without-long", case("without", FATIMA), scene="long"),
    Shot("11-more", case("more")),
    Shot("11-more-member", case("more"), "fatima"),
    Shot("12-part-safety", case("part", "safety")),
    Shot("12-part-safety-add", case("part", "safety"), do=press("item-add")),
    Shot("12-part-net", case("part", "safetynet")),
    Shot("12-decisions", case("part", "decisions")),
    Shot("12-decisions-add", case("part", "decisions"), do=press("propose")),
    Shot("12-decisions-empty", case("part", "decisions"), scene="empty"),
    Shot("12-round", case("decision", ROUND)),
    Shot("12-round-objection", case("decision", ROUND), do=press("objection", "objection-save")),
    Shot("12-round-given", case("decision", ROUND), "eva"),
    Shot("12-round-close", case("decision", ROUND), do=press("round-close")),
    Shot("12-round-long", case("decision", ROUND), scene="long"),
    Shot("12-clarifying", case("decision", CLEAR), do=press("react")),
    Shot("12-objected", case("decision", OBJECTED)),
    Shot("12-objected-edit", case("decision", OBJECTED), do=press("decision-edit")),
    Shot("12-decision-gone", case("decision", "none")),
    Shot("12-part-contacts", case("part", f"contacts@{FATIMA}")),
    Shot("12-part-voice", case("part", f"voice@{FATIMA}"), "fatima"),
    Shot("12-part-house", case("part", f"house@{SAM}"), "sam", do=press("letin")),
    Shot("12-part-agenda-add", case("part", "agenda"), do=press("item-add")),
    Shot("12-part-forbidden", case("part", "private"), "anneke", bare=True),
    Shot("13-invite", case("invite", "Bas")),
    Shot("13-invite-link", case("invite", "Bas"), do=press("invite-make")),
    Shot("13-invite-first", case("invite", "Bas"), scene="empty", do=press("invite-make")),
    Shot("14-access", case("access")),
    Shot("14-access-empty", case("access"), scene="empty"),
    Shot("14-give", case("give"), do=give),
    Shot("14-give-missing", case("give"), do=press("give-preview")),
    Shot("14-give-preview", case("give"), do=give_and("give-preview")),
    Shot("14-give-link", case("give"), do=give_and("give-preview", "give-yes")),
    Shot("14-give-link-words", case("give"), do=give_and("give-compare", "give-preview", "give-yes")),
    Shot("15-grant", case("grant", "g1"), do=press("grant-preview", "withdraw")),
    Shot("15-grant-stopped", case("grant", "g3")),
    Shot("15-grant-renew", case("grant", "g1"), do=renew),
    Shot("16-log", case("log")),
    Shot("16-history", case("history/plan")),
    Shot("16-incoming", case("incoming")),
    Shot("16-incoming-taken", case("incoming"), do=press("incoming-take")),
    Shot("16-devices", case("devices"), do=press("device-remove")),
    Shot("16-move", "#/move"),
    Shot("16-move-out", "#/move", do=press("move-make")),
    Shot("16-move-back", "#/move", do=press("move-make", "move-back")),
    Shot("16-move-in", f"#AQQ{SECRET}", "new"),
    Shot("16-move-in-used", f"#AQRUsed{SECRET}", "new", bare=True),
    Shot("16-devices-add", case("devices"), do=press("device-add")),
    Shot("16-along", case("along")),
    Shot("16-verify", "#/verify", do=choose("verify-file", 200)),
    Shot("16-verify-page", "#/verify", do=choose("verify-file", 1000)),
    Shot("16-verify-bad", "#/verify", "new", do=choose("verify-file", 9)),
    Shot("17-bring", "#/bring", "new"),
    Shot("17-bring-looked", "#/bring", do=bringing(200)),
    Shot("17-bring-parts", "#/bring", do=bringing(200, "bring-parts")),
    Shot("17-bring-bad", "#/bring", "new", do=bringing(9)),
    Shot("17-bring-refused", "#/bring", do=bringing(201)),
    Shot("17-bring-half", "#/bring", do=bringing(202, "bring")),
    Shot("17-bring-busy", "#/bring", do=bringing(203, "bring", "bring-yes")),
    Shot("17-bring-offline", "#/bring", do=bringing(204, "bring", "bring-yes")),
    Shot("17-bring-before", "#/bring", do=bringing(205)),
    Shot("17-bring-ready", "#/bring", do=bringing(200, "bring", "bring-yes")),
    Shot("16-compare", case("compare"), do=press("report-save")),
    Shot("16-compare-same", case("compare"), do=compared("same", "report-lines")),
    Shot("16-compare-behind", case("compare"), do=compared("they_behind older")),
    Shot("16-compare-forked", case("compare"), do=compared("forked", "report-lines")),
    Shot("16-compare-generation", case("compare"), do=compared("other_generation gone")),
    Shot("16-compare-unknown", case("compare"), do=compared("unknown")),
    Shot("16-compare-bad", case("compare"), do=compared("words")),
    Shot("16-paper", "#/paper"),
    Shot("16-paper-made", "#/paper", do=press("paper-make")),
    Shot("16-paper-renew", "#/paper", do=press("paper-make", "paper-done", "settings", "paper-open", "paper-renew")),
    Shot("16-come-back", "#/come-back", "new"),
    Shot("16-come-back-wrong", "#/come-back", "new", do=fill({"back-code": "7K3M"}, "back-do")),
    Shot(
        "16-came-back", "#/come-back", "new", do=fill({"back-code": "7K3MQ9XD2V5PWTAN84RJH6BCY1EG5SZF0M2K"}, "back-do")
    ),
    Shot("17-erase", case("along"), do=press("erase")),
    Shot("17-leave", case("leave"), do=press("leave")),
    Shot("18-settings", "#/settings"),
    Shot("18-settings-offline", "#/settings", scene="offline", do=press("sync")),
    Shot("18-locked", "#/", scene="locked", bare=True),
    Shot("18-locked-wrong", "#/", scene="locked", do=fill({"lock-pin": "111111"}, "lock-open"), bare=True),
    Shot("18-forgotten", "#/", scene="locked", do=press("lock-forgotten", "lock-wipe"), bare=True),
    Shot("18-torn", case(), scene="torn"),
    Shot("18-torn-still", case(), scene="torn", do=press("torn-read")),
    Shot("18-gone", case(), "new"),
    Shot("18-hidden", "#/settings", do=press("hide-now"), bare=True),
    Shot("18-damaged", "#/", scene="damaged"),
    Shot("18-damaged-case", case(), scene="damaged"),
    Shot("19-alarms", "#/alarms", scene="alarms"),
    Shot("19-parted", case("parted"), scene="alarms"),
    Shot("19-parted-sure", case("parted"), scene="alarms", do=press("adopt")),
    Shot("19-parted-member", case("parted"), who="fatima", scene="alarms"),
    Shot("20-accept", f"#Grant{SECRET}", "new"),
    Shot("21-views", "#/", "dewit"),
    Shot("22-view", "#/view/g1", "dewit"),
    Shot("22-view-answer", "#/view/g1", "dewit", do=press("say-condition")),
    Shot("22-view-copy", "#/view/g1", "dewit", do=press("copy-keep")),
    Shot("22-view-long", "#/view/g1", "dewit", "long"),
    Shot("22-view-waiting", "#/view/g1", "dewit", "waiting"),
    Shot("22-view-words", "#/view/g1", "dewit", "words"),
    Shot("22-view-ended", "#/view/g1", "dewit", "over", bare=True),
    Shot("22-view-stopped", "#/view/g1", "dewit", "stopped", bare=True),
]


def file(name: str, words: str) -> Callable[[Page], None]:
    """Opens a file and waits for nothing: where doing fails, nothing comes of it but a sentence."""

    def run(page: Page) -> None:
        one = {"name": "van-fatima.txt", "mimeType": "text/plain", "buffer": words.encode()}
        page.locator(f"[data-test={name}]").set_input_files([one])  # type: ignore[list-item]

    return run


def rewrite(page: Page) -> None:
    press("question-edit")(page)
    page.locator("textarea").first.fill("Hoe blijven we bij elkaar?")
    press("question-save")(page)


# What one presses last, where the screen must say it if that fails (tools/look.py).
ACTS = [
    Shot(
        "50-start",
        "#/start",
        "new",
        do=lambda page: (third_step(page), fill({"start-name": "Nora"}, "start-keep")(page))[0],
    ),
    Shot("50-join", f"#{SECRET}", "new", do=press("join-yes")),
    Shot("50-accept", f"#Grant{SECRET}", "new", do=press("join-yes")),
    Shot("50-back", "#/come-back", "new", do=fill({"back-code": "7K3MQ9XD2V5PWTAN84RJH6BCY1EG5SZF0M2K"}, "back-do")),
    Shot(
        "51-agreement",
        case("plan"),
        do=lambda page: (
            press("plan-add")(page),
            fill({"agreement-what": "Karim kookt op vrijdag"}, "agreement-save")(page),
        )[0],
    ),
    Shot("51-agreement-delete", case("plan"), do=press("agreement-edit", "agreement-delete", "agreement-delete-yes")),
    Shot(
        "51-progress",
        case("plan"),
        "fatima",
        do=lambda page: (
            press("progress-ask")(page),
            page.locator("[data-test^=progress-] input, .chip-pick input").first.check(),
            press("progress-save")(page),
        )[0],
    ),
    Shot(
        "51-letin",
        case("part", f"contacts@{FATIMA}"),
        "fatima",
        do=lambda page: (press("letin")(page), page.locator("main input[type=checkbox]").first.click())[0],
    ),
    Shot("52-question", case("question"), do=rewrite),
    Shot(
        "53-circle",
        case("circle"),
        do=lambda page: (press("circle-add")(page), fill({"circle-name": "Bas"}, "circle-save")(page))[0],
    ),
    Shot("53-invite", case("invite", "Bas"), do=press("invite-make")),
    Shot("53-remove", case("person", FATIMA), do=press("remove", "remove-yes")),
    Shot("53-role", case("person", FATIMA), do=press("role", "role-yes")),
    Shot("53-without", case("without", FATIMA), do=press("without", "without-yes")),
    Shot("53-lost", case("lost", FATIMA), do=press("lost-anew", "lost-anew-yes")),
    Shot("53-readmit", case("lost", NORA), "fatima", do=press("lost-ask")),
    Shot("54-give", case("give"), do=give_and("give-preview", "give-yes")),
    Shot("54-withdraw", case("grant", "g1"), do=press("withdraw", "withdraw-yes")),
    Shot("54-renew", case("grant", "g1"), do=renew),
    Shot("54-take", case("incoming"), do=press("incoming-take")),
    Shot(
        "55-propose",
        case("part", "decisions"),
        do=lambda page: (
            press("propose")(page),
            page.locator("textarea").first.fill("Samen eten"),
            page.locator("form .button.main").first.click(),
        )[0],
    ),
    Shot("55-consent", case("decision", ROUND), do=press("consent")),
    Shot(
        "55-say",
        "#/view/g1",
        "dewit",
        do=lambda page: (
            press("say-condition")(page),
            [one.fill("Er is iemand thuis") for one in page.locator("form textarea").all()],
            press("say-do")(page),
        )[0],
    ),
    Shot("55-copy", "#/view/g1", "dewit", do=press("copy-keep", "copy-keep-yes")),
    Shot("56-device", case("devices"), do=press("device-add")),
    Shot("56-device-remove", case("devices"), do=press("device-remove", "device-remove-yes")),
    Shot("56-paper", "#/paper", do=press("paper-make")),
    Shot("56-export", case("along"), do=press("along-take")),
    Shot("56-erase", case("along"), do=press("erase", "erase-yes")),
    Shot("56-leave", case("leave"), do=press("leave", "leave-yes")),
    Shot("56-report", case("compare"), do=press("report-save")),
    Shot("56-compare", case("compare"), do=file("report-file", "same")),
    Shot("56-adopt", case("parted"), do=press("adopt", "adopt-yes")),
    Shot("56-sync", "#/settings", do=press("sync")),
]
