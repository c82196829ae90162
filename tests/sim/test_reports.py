"""Two devices compare outside the relay what it showed each of them: what no record that crosses would ever tell."""

from __future__ import annotations

import copy
import random
from typing import Any

import msgspec
import pytest

from eigenkring import reporting
from eigenkring.errors import Inadmissible
from eigenkring.ids import RecordBytes
from eigenkring.report import CaseTags, LineTags, open_report, sign_report
from eigenkring.session import compacting
from eigenkring.session.pushed import Pushed, take_pushed
from eigenkring.session.sightings import MAX_SIGHTINGS, sightings
from eigenkring_crypto.errors import BadSignature
from simulator import Phone, World, family

LATER = 1_800_000_000


def family_of(seed: int = 0) -> World:
    world = family(seed)
    world.settle()
    return world


def forked() -> tuple[World, Phone, Phone, Phone]:
    """From here on Karim is shown another future than Nora and Fatima, and no record ever crosses."""
    world = family_of()
    world.network.worlds["karim"] = world.relay.fork()
    return world, world.phones["nora"], world.phones["fatima"], world.phones["karim"]


def compared(reader: Phone, writer: Phone) -> dict[str, Any]:
    return reporting.compare(reader.case, reporting.report(writer.case))


def line(found: dict[str, Any], what: str) -> dict[str, Any]:
    return next(one for one in found["streams"] if one["what"] == what)


def told(phone: Phone) -> list[str]:
    """The alarms that a comparison left."""
    return [about for code, about in phone.alarms() if code == "forked" and about.startswith("report of device ")]


def test_two_who_saw_the_same() -> None:
    world = family_of()
    nora, karim = world.phones["nora"], world.phones["karim"]
    nora.add("that both read")
    world.settle()
    for one, other in ((nora, karim), (karim, nora)):
        found = compared(one, other)
        assert found["verdict"] == "same", found
        assert {each["verdict"] for each in found["streams"]} == {"same"}, found
        assert line(found, "plan")["same_to"] == line(found, "plan")["yours"] > 0
        assert told(one) == []


def test_a_fork_that_no_record_crosses_is_told_by_both_and_stays() -> None:
    world, nora, fatima, karim = forked()
    before = nora.session.position(nora.stream()).length
    nora.add("in one world")
    karim.add("in the other")
    world.settle()
    assert not {"forked", "rolled_back", "false_seen", "broken_chain"} & {*nora.codes(), *karim.codes()}
    assert compared(nora, fatima)["verdict"] == "same"
    for one, other in ((nora, karim), (karim, nora)):
        found = compared(one, other)
        assert found["verdict"] == "forked"
        plan = line(found, "plan")
        assert (plan["same_to"], plan["differs_at"]) == (before, before + 1)
        assert plan["yours_since"] and plan["theirs_since"]
        assert found["by"]["name"].casefold() == other.name
        one.restart()
        assert told(one) == [f"report of device {other.session.device().hex()}"]
    # Nobody is blocked, nothing is lost.
    world.network.honest()
    world.settle(6)
    assert {"in one world", "in the other"} <= set(nora.texts())
    assert {"in one world", "in the other"} <= set(karim.texts())


def test_what_was_shown_is_still_told_after_the_relay_hid_its_lie() -> None:
    """Karim's own log was replaced by the one that is shown now; what he saw before stands in his report."""
    world, nora, _, karim = forked()
    nora.add("in one world")
    karim.add("in the other")
    world.settle()
    world.network.honest()
    world.settle(6)
    found = compared(nora, karim)
    assert line(found, "plan")["verdict"] == "forked", found
    assert compared(karim, nora)["verdict"] == "forked"


def test_what_was_pushed_and_never_read_is_kept_too() -> None:
    """Karim is pushed a record, and when he reads there is another one in its place: no sync ever noted the first."""
    world, nora, fatima, karim = forked()
    world.network.worlds["fatima"] = world.network.worlds["karim"]
    nora.add("that is pushed to Karim")
    nora.sync()
    place = karim.session.position(karim.stream()).length + 1
    pushed = Pushed(karim.stream(), place, RecordBytes(world.relay.records(nora.stream())[-1]))
    assert take_pushed(karim.session, [pushed])
    fatima.add("that lies there")
    fatima.sync()
    world.now += 60
    karim.sync()
    assert line(compared(fatima, karim), "plan")["differs_at"] == place


def test_who_is_behind_and_since_when() -> None:
    world = family_of()
    nora, karim = world.phones["nora"], world.phones["karim"]
    before = nora.session.position(nora.stream()).length
    world.network.offline.add("karim")
    world.now += 3600
    nora.add("while Karim was away")
    nora.sync()
    at = world.now
    world.now += 7200
    nora.add("later")
    nora.sync()
    found = compared(nora, karim)
    plan = line(found, "plan")
    assert (found["verdict"], plan["verdict"], plan["same_to"]) == ("they_behind", "they_behind", before)
    assert plan["since"] == at
    mirrored = line(compared(karim, nora), "plan")
    assert (mirrored["verdict"], mirrored["since"]) == ("you_behind", at)


def test_between_two_devices_of_a_fork_that_have_no_store_it_shows_from_the_files_alone() -> None:
    world, nora, fatima, karim = forked()
    for at in range(40):
        nora.add(f"one {at}")
        karim.add(f"other {at}")
        world.settle()
    texts = {phone.name: reporting.report(phone.case) for phone in (nora, fatima, karim)}
    found = reporting.compare_files(texts["nora"], texts["karim"])
    assert (found["verdict"], found["checked"]) == ("forked", False)
    assert reporting.compare_files(texts["nora"], texts["fatima"])["verdict"] == "same"
    # Of the forked stream too the two say up to where they were one, as closely as the points lie.
    (parted,) = (one for one in found["streams"] if one["verdict"] == "forked")
    exact = line(compared(nora, karim), "plan")
    assert parted["same_to"] <= exact["same_to"] < exact["differs_at"] <= parted["differs_at"]


# --- generations


def put_back(world: World, kept: object, generation: int) -> None:
    world.relay.store = copy.deepcopy(kept)  # type: ignore[assignment]
    world.relay.generation = generation


def test_a_relay_that_was_put_back_and_says_so_is_no_fork() -> None:
    world = family_of()
    nora, fatima, karim = (world.phones[name] for name in ("nora", "fatima", "karim"))
    kept = copy.deepcopy(world.relay.store)
    nora.add("lost by the relay")
    world.settle()
    before = reporting.report(nora.case)
    world.network.offline.update(("nora", "karim"))
    put_back(world, kept, LATER)
    fatima.add("in another place")
    fatima.sync()
    found = reporting.compare(fatima.case, before)
    assert found["verdict"] in ("same", "they_behind", "other_generation"), found
    world.network.honest()
    world.settle(6)
    for one, other in ((nora, fatima), (fatima, nora), (karim, nora)):
        assert compared(one, other)["verdict"] == "same"
        assert told(one) == []
    assert reporting.compare(karim.case, before)["verdict"] != "forked"


def test_a_record_on_top_of_a_backup_is_another_generation_and_no_fork() -> None:
    """Nora's phone is off while the relay goes back and others write on: her log and theirs part, and nobody lied."""
    world = family_of()
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    kept = copy.deepcopy(world.relay.store)
    world.network.offline.add("fatima")
    nora.add("only the relay and Nora had it")
    nora.sync()
    world.network.offline.add("nora")
    world.network.offline.discard("fatima")
    put_back(world, kept, LATER)
    fatima.add("in that very place")
    fatima.sync()
    for one, other in ((nora, fatima), (fatima, nora)):
        found = compared(one, other)
        assert (found["verdict"], line(found, "plan")["verdict"]) == ("other_generation", "other_generation")
        assert told(one) == []


def test_a_relay_that_tells_two_people_two_generations_is_not_told_to_be_right() -> None:
    """By it a fork is no proof any more. It is never called the same, and after both have synced it is told still."""
    world, nora, _, karim = forked()
    world.network.worlds["karim"].generation = LATER
    nora.add("in one world")
    karim.add("in the other")
    world.settle()
    world.settle()
    for one, other in ((nora, karim), (karim, nora)):
        assert compared(one, other)["verdict"] == "other_generation"


def test_what_was_seen_before_the_relay_was_put_back_proves_a_fork_still() -> None:
    """The lie was in the first generation; a backup that was put back since does not wash it away."""
    world, nora, _, karim = forked()
    nora.add("in one world")
    karim.add("in the other")
    world.settle()
    world.network.honest()
    world.relay.generation = LATER
    world.settle(6)
    assert compared(nora, karim)["verdict"] == "forked"


# --- who may say what


def test_who_was_removed_is_heard_and_named() -> None:
    """The relay hides the removal from Karim; his report shows the family that it does."""
    world, nora, _, karim = forked()
    nora.case.remove("Karim")
    world.settle(only=["nora", "fatima"])
    karim.add("as if nothing happened")
    karim.sync()
    nora.add("without Karim")
    nora.sync()
    found = compared(nora, karim)
    assert (found["verdict"], found["by"]["here"]) == ("forked", False)
    # His own phone cannot be let in on what came after: it only sees that there are two logs.
    assert compared(karim, nora)["verdict"] == "forked"
    world.network.honest()
    world.settle()
    assert not karim.here()
    assert open_report(reporting.report(karim.case)).n > 0  # what he saw he can say still


def test_a_device_that_the_charter_here_does_not_have() -> None:
    """The relay hides from Karim that Lea came."""
    world, _, _, karim = forked()
    world.join("lea")
    world.settle(only=["nora", "fatima", "lea"])
    with pytest.raises(Inadmissible) as said:
        compared(karim, world.phones["lea"])
    assert said.value.code == "unknown_device"
    found = compared(world.phones["lea"], karim)
    assert (found["verdict"], line(found, "charter")["verdict"]) == ("they_behind", "they_behind")
    assert found["entries"]["yours"] > found["entries"]["theirs"]


def test_a_shorter_charter_and_another_entry_at_its_end() -> None:
    """One entry each, at one place: neither charter goes beyond what the other could have."""
    world, nora, _, karim = forked()
    nora.case.invite("member", "Yusuf")
    fatima = world.phones["fatima"]
    world.network.worlds["fatima"] = world.network.worlds["karim"]
    fatima.sync()
    fatima.case.leave()
    karim.sync()
    found = compared(nora, karim)
    assert line(found, "charter")["verdict"] == "forked"
    assert line(compared(karim, nora), "charter")["verdict"] == "forked"


def test_a_report_of_another_case_and_one_that_was_altered() -> None:
    world, other = family_of(1), World(8)
    nora, karim = world.phones["nora"], world.phones["karim"]
    other.start("nora")
    other.settle()
    text = reporting.report(karim.case)
    with pytest.raises(Inadmissible) as said:
        reporting.compare(other.phones["nora"].case, text)
    assert said.value.code == "other_case"
    with pytest.raises(Inadmissible) as said:
        reporting.compare_files(text, reporting.report(other.phones["nora"].case))
    assert said.value.code == "other_case"
    # Signed by another device of the case, in the name of Karim's: nobody can blame him for it.
    forged = sign_report(world.phones["fatima"].session.keys.sign, nora.session.case, open_report(text))
    with pytest.raises(BadSignature):
        reporting.compare(nora.case, forged)
    assert told(nora) == []


def test_an_old_report_that_is_sent_again_is_told() -> None:
    world = family_of()
    nora, karim = world.phones["nora"], world.phones["karim"]
    old = reporting.report(karim.case)
    world.now += 86_400
    nora.add("since then")
    world.settle()
    fresh = reporting.report(karim.case)
    assert not reporting.compare(nora.case, old)["older"]
    assert not reporting.compare(nora.case, fresh)["older"]
    again = reporting.compare(nora.case, old)
    assert (again["older"], again["verdict"], again["at"]) == (True, "they_behind", open_report(old).at)


# --- stores, snapshots


def test_a_store_put_back_from_a_copy_is_behind_and_no_fork() -> None:
    world = family_of()
    nora, karim = world.phones["nora"], world.phones["karim"]
    image = karim.backup()
    for at in range(3):
        nora.add(f"one {at}")
        karim.add(f"another {at}")
        world.settle()
    before = reporting.report(karim.case)
    karim.put_back(image)
    assert compared(nora, karim)["verdict"] == "they_behind"
    assert reporting.compare(karim.case, before)["verdict"] == "you_behind"
    world.settle(6)
    assert compared(nora, karim)["verdict"] == "same"
    assert reporting.compare(nora.case, before)["verdict"] in ("same", "they_behind")
    assert told(nora) == []


def test_made_before_a_snapshot_and_compared_after_it_and_by_one_who_came_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who saw all of it can tell still; who came behind the snapshot says that they cannot."""
    world = family_of()
    nora, karim = world.phones["nora"], world.phones["karim"]
    for at in range(12):
        nora.add(f"one {at}")
        nora.sync()
    karim.sync()
    old = reporting.report(karim.case)
    monkeypatch.setattr(compacting, "FEWEST_RECORDS", 7)
    monkeypatch.setattr(compacting, "MOST_PATIENCE", 3)
    length = nora.session.position(nora.stream()).length
    nora.add("one more")
    world.settle(6)
    assert nora.session.position(nora.stream()).base >= length
    assert line(reporting.compare(nora.case, old), "plan")["verdict"] == "they_behind"
    world.join("lea")
    world.settle()
    lea = world.phones["lea"]
    assert line(reporting.compare(lea.case, old), "plan")["verdict"] == "unchecked"
    for one in (nora, karim):
        assert compared(lea, one)["verdict"] == compared(one, lea)["verdict"] == "same"


def test_who_cannot_read_a_stream_does_not_find_it() -> None:
    """What is in Nora's report of a part that Sam does not read has no name there, and no tag that he can work out."""
    world = family_of()
    nora, sam = world.phones["nora"], world.phones["sam"]
    nora.add("not for Sam", "private", "ideas", "text")
    world.settle()
    found = compared(sam, nora)
    assert found["unknown"] > 0
    assert "private" not in {one["what"] for one in found["streams"]}
    assert found["verdict"] == "same"
    text = reporting.report(nora.case)
    # Nor with any secret that he has.
    stream = nora.stream("private")
    keys_secret = sam.session.row.keys_secret
    assert keys_secret is not None
    tried = [LineTags(secret, stream).id() for _, _, secret in sam.session.ring]
    tried += [CaseTags(keys_secret, sam.session.case).line(stream).id(), LineTags(keys_secret, stream).id()]
    assert not set(tried) & {one.id for one in open_report(text).lines}
    raw = msgspec.msgpack.encode(open_report(text))
    session = nora.session
    charter = session.known()
    telling = [session.case, session.device()]
    telling += [part.stream for part in charter.parts.values()] + [charter.head, *charter.people]
    telling += [session.position(part.stream).chain for part in charter.parts.values()]
    telling += [secret for _, _, secret in session.ring]
    assert [one for one in telling if bytes(one) in raw or bytes(one).hex() in text] == []


def test_what_only_one_person_reads_is_in_a_report_for_own_devices_only() -> None:
    world = family_of()
    sam = world.phones["sam"]
    sam.add("van mij", "diary", "entries", "text")
    world.settle()
    few, all_ = (open_report(reporting.report(sam.case, own=own)) for own in (False, True))
    assert {one.id for one in few.lines} < {one.id for one in all_.lines}


# --- what is kept


def test_what_is_kept_of_a_stream_stays_small_and_keeps_its_ends() -> None:
    world = family_of(2)
    nora = world.phones["nora"]
    first = sightings(nora.session, nora.stream())[0]
    for at in range(200):
        world.now += 60
        nora.add(f"one {at}")
        nora.sync()
    kept = sightings(nora.session, nora.stream())
    assert kept[0] == first
    assert 12 <= len(kept) <= MAX_SIGHTINGS
    assert kept[-1].index == nora.session.position(nora.stream()).length
    assert [one.at for one in kept] == sorted(one.at for one in kept)
    report = reporting.report(nora.case)
    assert len(report) < 60_000


def test_an_old_store_has_no_sightings_and_reports_still() -> None:
    """An earlier program kept no sightings: the log is compared, only the generation and the times are not known."""
    world, nora, _, karim = forked()
    nora.add("in one world")
    karim.add("in the other")
    world.settle()
    for phone in (nora, karim):
        phone.session.store._sql.execute("DELETE FROM fact WHERE name LIKE 'seen %' OR name = 'generations'")  # type: ignore[attr-defined]
        phone.restart()
    found = compared(nora, karim)
    assert (found["verdict"], line(found, "plan")["since"]) == ("other_generation", None)
    world.settle()
    assert compared(nora, karim)["verdict"] == "forked"


@pytest.mark.parametrize("seed", range(12))
def test_whatever_honest_people_and_an_honest_relay_do_nobody_is_told_of_a_fork(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Phones that are off, restarted or put back from a copy, snapshots, people who come and go, and a relay that is put
    back and says so."""
    monkeypatch.setattr(compacting, "FEWEST_RECORDS", 7)
    monkeypatch.setattr(compacting, "MOST_PATIENCE", 3)
    world, chance = family_of(seed), random.Random(seed)
    names = ["nora", "fatima", "karim"]
    backups = [(copy.deepcopy(world.relay.store), 0)]
    images: dict[str, bytes] = {}
    old: list[str] = []
    verdicts: set[str] = set()
    for turn in range(60):
        world.now += chance.randrange(1, 4_000)
        phone = world.phones[chance.choice(names)]
        match chance.randrange(12):
            case 0 | 1 | 2 | 3:
                phone.add(f"word {turn}")
                phone.sync()
            case 4 | 5:
                phone.sync()
            case 6:
                (world.network.offline.discard if phone.name in world.network.offline else world.network.offline.add)(
                    phone.name
                )
            case 7:
                images[phone.name] = phone.backup()
            case 8 if phone.name in images:
                phone.put_back(images[phone.name])
            case 9:
                backups.append((copy.deepcopy(world.relay.store), turn))
            case 10 if turn > 20:
                put_back(world, chance.choice(backups)[0], world.relay.generation + chance.randrange(1, 9))
            case _:
                old.append(reporting.report(phone.case))
        reader = world.phones[chance.choice(names)]
        for text in [*old[-3:], *(reporting.report(world.phones[name].case) for name in names)]:
            try:
                found = reporting.compare(reader.case, text)
            except Inadmissible as error:
                assert error.code == "unknown_device"
                continue
            verdicts.add(found["verdict"])
            assert found["verdict"] != "forked", (turn, found)
    world.network.honest()
    world.settle(8)
    for name in names:
        for other in names:
            assert compared(world.phones[name], world.phones[other])["verdict"] == "same"
        assert told(world.phones[name]) == []
    assert {"same", "they_behind", "you_behind"} <= verdicts
