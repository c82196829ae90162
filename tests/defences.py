"""The defences, each with the test that must notice when it is taken out. Run by `mutations.py`; docs/threat-model.md
names the same tests, and `sim/test_defences.py` holds the two against each other.
"""

from __future__ import annotations

from typing import NamedTuple


class Mutation(NamedTuple):
    name: str
    file: str
    old: str
    new: str
    test: str


CORE, SIM = "core/eigenkring", "tests/sim"
RELAY, MEMBER, OUT, LINKS = (
    f"{SIM}/test_lying_relay.py::",
    f"{SIM}/test_lying_member.py::",
    f"{SIM}/test_removed_member.py::",
    f"{SIM}/test_links.py::",
)
ONE_LIE = RELAY + "test_a_lie_told_to_one_member"

MUTATIONS = [
    # --- what a device checks of the relay
    Mutation(
        "a stream that became shorter",
        f"{CORE}/stream.py",
        "    if batch.length < position.length:\n",
        "    if False:\n",
        RELAY + "test_the_relay_is_put_back[1]",
    ),
    Mutation(
        "records that do not lead to the head",
        f"{CORE}/stream.py",
        "        if not hmac.compare_digest(running, batch.chain):\n",
        "        if False:\n",
        f"{ONE_LIE}[reorder-1.0]",
    ),
    Mutation(
        "records that are announced and withheld",
        f"{CORE}/stream.py",
        "    elif not batch.more:\n",
        "    elif False:\n",
        f"{ONE_LIE}[truncate-1.0]",
    ),
    Mutation(
        "lengths that no store counts",
        f"{CORE}/stream.py",
        "    if batch.length > LONGEST:\n",
        "    if False:\n",
        RELAY + "test_a_length_that_no_store_counts",
    ),
    Mutation(
        "a base that only the relay's word moves",
        f"{CORE}/session/taking.py",
        '    if base == ours.base or want.purpose == "view":\n',
        "    if True:\n",
        f"{ONE_LIE}[jump_with_noise-1.0]",
    ),
    Mutation(
        "a log that leads elsewhere is read whole",
        f"{CORE}/session/astray.py",
        "    if code not in LEADS_ELSEWHERE or stream in session.reread:\n",
        "    if True:\n",
        f"{ONE_LIE}[injected-1.0]",
    ),
    Mutation(
        "what a shown log lacks is given back",
        f"{CORE}/session/astray.py",
        "            session.store.add_outbox(session.case, stream, record)\n",
        "            pass\n",
        RELAY + "test_who_has_more_gives_back_also_what_others_wrote",
    ),
    Mutation(
        "a charter that lacks an entry of ours is not followed",
        f"{CORE}/session/astray.py",
        '    return purpose != "charter" or _has_our_entries(session, shown.placed)\n',
        "    return True\n",
        RELAY + "test_a_relay_cannot_undo_a_removal_by_showing_another_charter",
    ),
    Mutation(
        "a record is sent when it came back",
        f"{CORE}/sync.py",
        "                session.claimed[number] = (stream, result.length, result.chain)\n",
        "                session.store.drop_outbox(number)\n",
        f"{ONE_LIE}[pretending-1.0]",
    ),
    Mutation(
        "a founding is sent when it came back",
        f"{CORE}/sync.py",
        '        session.claimed[item.number] = (session.charter_stream, 1, b"")\n',
        "        session.store.drop_outbox(item.number)\n",
        RELAY + "test_a_lie_told_to_whoever_starts[pretending]",
    ),
    Mutation(
        "a generation is nobody's signed word, and is told",
        f"{CORE}/session/taking.py",
        '            session.alarm("new_generation" if now > known else "rolled_back", "relay")\n',
        "            pass\n",
        f"{ONE_LIE}[new_generation-1.0]",
    ),
    Mutation(
        "keys are kept in the step in which they are read",
        f"{CORE}/session/taking.py",
        "    with session.store.step():\n        if not stands:\n",
        "    if True:\n        if not stands:\n",
        RELAY + "test_a_crash_at_every_write_of_a_removal",
    ),
    # --- keys
    Mutation(
        "every secret that was told is tried",
        f"{CORE}/session/case.py",
        "        return sorted(found)\n",
        "        return list({epoch: (epoch, secret) for epoch, secret in found}.values())\n",
        MEMBER + "test_a_false_key_beside_the_true_one_after_a_removal",
    ),
    Mutation(
        "a secret is compared with the commitment",
        f"{CORE}/rooms.py",
        "        if commit is None or not hmac.compare_digest("
        "commit, commitment(charter.case, room, epoch, secret)):\n",
        "        if False:\n",
        MEMBER + "test_a_keybag_with_wrong_secrets",
    ),
    Mutation(
        "a keybag's signature",
        f"{CORE}/keys.py",
        '            verify(device.sign, "keys", self.stream, self.body_bytes, self.sig)\n',
        "            pass\n",
        MEMBER + "test_a_keybag_that_nobody_signed_names_nobody",
    ),
    Mutation(
        "what was seen of the keys",
        f"{CORE}/session/boxes.py",
        "        if length >= placed.index or (known is not None and known != chain):\n",
        "        if False:\n",
        MEMBER + "test_a_false_seen_among_the_keys",
    ),
    Mutation(
        "blanks of owners only",
        f"{CORE}/session/boxes.py",
        "    if bag.bag.blanks and sender is not None and charter.is_owner(sender.person):\n",
        "    if bag.bag.blanks:\n",
        MEMBER + "test_blanks_of_one_who_is_no_owner",
    ),
    # --- the charter
    Mutation(
        "one line of noise is passed over",
        f"{CORE}/session/case.py",
        "                unopened[placed.index] = record_epoch(placed.record)\n                continue\n",
        "                unopened[placed.index] = record_epoch(placed.record)\n                break\n",
        MEMBER + "test_one_line_of_noise_does_not_end_the_case",
    ),
    Mutation(
        "who may make an entry",
        f"{CORE}/charter/rules.py",
        "    if rule is None or not rule.who(charter, author):\n",
        "    if rule is None:\n",
        MEMBER + "test_charter_entries_beyond_the_right[5]",
    ),
    Mutation(
        "a majority of the owners",
        f"{CORE}/charter/majority.py",
        "    if len(agreed) < needed(charter, what):\n",
        "    if False:\n",
        MEMBER + "test_sock_puppet_owners",
    ),
    Mutation(
        "a child's page widens with the child's word only",
        f"{CORE}/charter/locks.py",
        "        if subject is not None and author.person != subject and added:\n",
        "        if False:\n",
        MEMBER + "test_an_owner_adds_herself_as_reader_of_a_childs_page",
    ),
    Mutation(
        "who is out makes no entries",
        f"{CORE}/charter/rules.py",
        "    if device is None or not device.here or not charter.people[device.person].here:\n",
        "    if device is None:\n",
        OUT + "test_his_entries_in_the_charter_count_no_more",
    ),
    Mutation(
        "a removal turns the locks",
        f"{CORE}/charter/narrow.py",
        "    must = [name for name in sorted(lost_rooms(charter, without)) "
        "if stays and without.turns(me.person, name)]\n",
        "    must: list[str] = []\n",
        OUT + "test_he_reads_nothing_that_comes_after",
    ),
    # --- the door of a part
    Mutation(
        "an actor is of the device",
        f"{CORE}/part/fold.py",
        "                if not any(cover.owns(change) for cover in covers):\n",
        "                if False:\n",
        MEMBER + "test_anothers_actor",
    ),
    Mutation(
        "a signature reaches a change",
        f"{CORE}/part/fold.py",
        "            covering = [cover for cover in covers if cover.owns(change) and cover.covers(change)]\n",
        "            covering = [cover for cover in covers if cover.owns(change)]\n",
        MEMBER + "test_a_change_that_the_signature_does_not_reach",
    ),
    Mutation(
        "the signature of an attestation",
        f"{CORE}/part/attestation.py",
        "        verify(sign_key, _NAME, stream, raw[:_SIGNED_BYTES], raw[_SIGNED_BYTES:])\n",
        "        pass\n",
        MEMBER + "test_signed_in_anothers_name",
    ),
    Mutation(
        "what was seen",
        f"{CORE}/part/fold.py",
        '        raise Inadmissible("false_seen", device=device.hex())\n\n    def _may_write(',
        "        return\n\n    def _may_write(",
        MEMBER + "test_a_false_word_about_what_was_seen",
    ),
    Mutation(
        "seen beyond the end",
        f"{CORE}/part/fold.py",
        "        if att.length >= index:\n",
        "        if False:\n",
        MEMBER + "test_seen_beyond_the_end",
    ),
    Mutation(
        "the epoch of a head",
        f"{CORE}/part/fold.py",
        "        if charter.epoch_at(self.write_room, n) != epoch:\n",
        "        if False:\n",
        MEMBER + "test_an_epoch_that_never_was",
    ),
    Mutation(
        "a writer of that epoch",
        f"{CORE}/part/fold.py",
        "        if not charter.wrote_in_epoch(DeviceId(device), self.write_room, epoch):\n",
        "        if False:\n",
        MEMBER + "test_a_child_writes_the_plan",
    ),
    Mutation(
        "sequences follow",
        f"{CORE}/part/door.py",
        "        if change.seq != previous + 1:\n",
        "        if False:\n",
        MEMBER + "test_a_sequence_that_skips_or_repeats[5]",
    ),
    Mutation(
        "two variants",
        f"{CORE}/part/door.py",
        "        if change.seq != previous + 1:\n",
        "        if change.seq > previous + 1:\n",
        MEMBER + "test_two_variants_of_one_number",
    ),
    Mutation(
        "an author's changes follow each other",
        f"{CORE}/part/door.py",
        "        elif self._actors[index].hashes[-1] not in change.deps:\n",
        "        elif False:\n",
        MEMBER + "test_own_dependency_cut_away",
    ),
    Mutation(
        "operations start where they must",
        f"{CORE}/part/door.py",
        "        if change.start_op != 1 + max((self._end_of(dep) for dep in change.deps), default=0):\n",
        "        if False:\n",
        MEMBER + "test_operation_ids_reused_or_near_the_end_of_numbers[2147483648]",
    ),
    Mutation(
        "nothing waits for a parent",
        f"{CORE}/part/door.py",
        '            if dep not in self._changes:\n                raise Inadmissible("missing_dependency")\n',
        "            if dep not in self._changes:\n                return\n",
        MEMBER + "test_an_orphan_that_waits_for_a_parent",
    ),
    # --- cuts and snapshots
    Mutation(
        "the cut",
        f"{CORE}/part/fold.py",
        "                check_cut(cut, secret, change.actor, change.seq, change.hash)\n",
        "                pass\n",
        OUT + "test_what_he_wrote_before_and_shows_after_the_cut",
    ),
    Mutation(
        "the cut holds in snapshots too",
        f"{CORE}/charter/state.py",
        "            if device in cut.devices and epoch <= cut.write_epoch:\n",
        "            if False:\n",
        OUT + "test_the_relay_alone_brings_his_old_key",
    ),
    Mutation(
        "an old snapshot",
        f"{CORE}/session/parts.py",
        "        return verdict.started_over\n",
        "        return True\n",
        OUT + "test_an_old_snapshot_does_not_hide_what_came_since",
    ),
    Mutation(
        "the signature of a snapshot",
        f"{CORE}/part/snapshot.py",
        "        verify(sign_key, _NAME, stream, snapshot.body, snapshot.sig)\n",
        "        pass\n",
        MEMBER + "test_a_snapshot_that_is_signed_falsely[by another key]",
    ),
    Mutation(
        "what a snapshot left out is given back",
        f"{CORE}/session/parts.py",
        "            self._give_back(opened, verdict.give_back)\n",
        "            pass\n",
        MEMBER + "test_a_snapshot_that_leaves_out",
    ),
    # --- links
    Mutation(
        "the greeting that the link pins",
        f"{CORE}/doorstep.py",
        "    if not _hmac.compare_digest(greeting_pin(payload), pin):\n",
        "    if False:\n",
        LINKS + "test_another_greeting_than_the_link_was_made_for",
    ),
    Mutation(
        "the charter that the link pins",
        f"{CORE}/session/case.py",
        "        if any(n <= charter.n and charter.heads.get(n) != head for n, head in pins):\n",
        "        if False:\n",
        LINKS + "test_a_link_that_leads_into_a_false_case",
    ),
    Mutation(
        "what only looks like a welcome",
        f"{CORE}/visiting.py",
        "    except (Ended, Inadmissible):\n        return None\n    return welcome",
        "    except Ended:\n        return None\n    return welcome",
        LINKS + "test_noise_on_the_doorstep_keeps_nobody_out",
    ),
    Mutation(
        "words before keys",
        f"{CORE}/session/duties.py",
        "            if door.of.compare and not _confirmed(session, first):\n",
        "            if False:\n",
        LINKS + "test_a_stolen_link_that_asks_for_words_gives_no_key_before_they_are_compared",
    ),
    Mutation(
        "keys of a visitor that are no keys",
        f"{CORE}/sync.py",
        "    except CryptoError as error:\n        # Keys of a visitor",
        "    except ZeroDivisionError as error:\n        # Keys of a visitor",
        LINKS + "test_a_visitor_whose_keys_are_no_keys_blocks_nobody",
    ),
    Mutation(
        "what only looks like a reader's welcome",
        f"{CORE}/receiving.py",
        "    except Inadmissible:\n        return None  # an older state",
        "    except ZeroDivisionError:\n        return None  # an older state",
        LINKS + "test_noise_on_the_doorstep_of_a_reader_keeps_the_reader_in",
    ),
    # --- the relay
    Mutation(
        "appending needs the capability",
        "server/eigenkring_server/relay.py",
        "    if not chain.matches(op.cap, stream.append):\n",
        "    if False:\n",
        "tests/relay/test_store_acceptance.py::test_each_operation_asks_for_its_own_capability",
    ),
    Mutation(
        "appends have a quota",
        "server/eigenkring_server/relay.py",
        "        or stream.length - stream.base >= quotas.max_stream_records\n",
        "        or False\n",
        MEMBER + "test_a_stream_filled_against_its_owners",
    ),
]
