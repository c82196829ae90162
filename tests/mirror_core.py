"""What of the Python core has no twin of the same name in TypeScript, and why. `test_mirror` keeps it true."""

from __future__ import annotations

from typing import Final

# Modules, or folders of them.
PYTHON_ONLY: Final[dict[str, str]] = {
    "unzip": "`app/unzip.ts` there: the engine of the app takes files, and the page unpacks what somebody chose",
    "cli/": "the command line",
    "demo": "a fixture family for the command line",
    "glass": "a page of the demo",
    "editing": "for programs of one's own in Python",
    "watching": "app/watching.ts",
    "sqlite_store": "the browser's store is app/indexed-store.ts",
}

# Of a module: why, and the names.
OTHERWISE: Final[dict[str, tuple[str, frozenset[str]]]] = {
    "abreast": (
        "the browser has no threads: who waits there lets the others go on by itself",
        frozenset(["Patient", "Turn"]),
    ),
    "carrying": ("the browser fetches through `filing`", frozenset(["fetch"])),
    "change": (
        "names of the TypeScript engine are spelled in its own way there; the vectors run in both",
        frozenset(["pack_operations"]),
    ),
    "charter/draft": (
        "`author_with` and `rekeys` are methods of Secrets there, `nobody_hash` is `nobody` of stream.ts, `opening` is `openingOf`",
        frozenset(["author_with", "nobody_hash", "opening", "rekeys"]),
    ),
    "charter/entry": (
        "a body is a shape of `BODIES` there, not a class of its own",
        frozenset(
            [
                "AddDevice",
                "Adopt",
                "Cancel",
                "Close",
                "Expire",
                "Found",
                "GrantEntry",
                "HandOver",
                "Invite",
                "Join",
                "Leave",
                "PartChange",
                "Readmit",
                "RemoveDevice",
                "RemovePerson",
                "RoomChange",
                "SetRole",
                "Withdraw",
            ]
        ),
    ),
    "charter/rules": (
        "who may is told by small functions inside the table of rules there",
        frozenset(["Rule", "anyone", "founder", "member", "owner", "owner_or_member"]),
    ),
    "columns": (
        "runs are private there: one function for each kind of column is enough",
        frozenset(["decode_runs", "encode_runs"]),
    ),
    "exported": (
        "each way to be wrong is a `BadExport` there, with a word for the screen",
        frozenset(["entries_of", "exactly", "refused"]),
    ),
    "exporting": ("`exportCase` there; a folder is read by the command line", frozenset(["export", "verify"])),
    "filing": ("the app keeps files through `attachments`", frozenset(["attach", "copy", "described_in", "fetch"])),
    "giving": (
        "the app shows who reads a part by its readers",
        frozenset(["shown_to"]),
    ),
    "keys": ("shapes have other names there: OpenedBag, Given", frozenset(["Opened", "Secret"])),
    "part/names": (
        "an array of numbers is Python's own; there a `Column` packs itself",
        frozenset(["PackedNames", "packed", "unpacked"]),
    ),
    "part/coverage": (
        "`signerOf` there, because `signer` is the word for a key; own changes that come back are read anew there, which costs less",
        frozenset(["Made", "signer"]),
    ),
    "part/rights": (
        "a device is that of charter/state there; the cut is asked by `checkCut`",
        frozenset(["DeviceKey", "change_is_behind"]),
    ),
    "part/snapshot": ("`SnapshotBody` there", frozenset(["Body"])),
    "receiving": ("private there", frozenset(["device_of", "drop"])),
    "renewing": ("the screen shows the selection by `giving.preview`", frozenset(["preview_selection"])),
    "session/astray": ("`takeAnew` there, because a module imports it beside another take", frozenset(["take"])),
    "session/attachments": ("private there", frozenset(["attach_again", "chunks_of", "part_of", "secrets_at"])),
    "session/doors": ("`firstKnock` there: the first one that holds is all that is asked for", frozenset(["knocks"])),
    "session/healing": (
        "`heal` with a function that sends: there is no generator that waits there",
        frozenset(["steps"]),
    ),
    "session/owed": ("a shape of fold.ts there", frozenset(["Basis"])),
    "session/own_door": ("other names there, for one door", frozenset(["OwnGreeting", "knocks"])),
    "session/publishing": (
        "a view is one operation there; the names are those of what it does",
        frozenset(["documents_for", "granter_keys", "latest_view", "signed_state", "state_given", "turned_grants"]),
    ),
    "session/stuck": ("a method of Stuck, and `lockName`", frozenset(["learn", "name_of"])),
    "steps": (
        "types of document.ts and crdt.ts there",
        frozenset(
            ["CollectionRule", "FieldRule", "KindRules", "Node", "Reading", "Writing", "plain", "smallest_splice"]
        ),
    ),
    "story": ("the screens ask for the readers of a part (`case.readers`)", frozenset(["rights_lines"])),
    "stream": ("`PlacedRecord` there, because the wire has a Placed", frozenset(["Placed"])),
    "sync": ("a closure there", frozenset(["report_received"])),
    "view": (
        "a selection is in selection.ts there",
        frozenset(["PartSelection", "Selection", "parse_selection", "unpack"]),
    ),
    "visiting": ("`OpenDoor` there", frozenset(["Door"])),
    "waiting": ("the app makes a link anew where one was lost", frozenset(["link_again"])),
    "wire": (
        "frames of the relay's half, which no browser speaks; results are shapes there",
        frozenset(
            [
                "Answer",
                "Appended",
                "Closed",
                "Failure",
                "Opened",
                "PushedEvent",
                "PushedRecord",
                "Rekeyed",
                "Unfollow",
                "Unfollowed",
                "check_keys",
                "decode_request",
                "encode",
                "id_of",
            ]
        ),
    ),
}
