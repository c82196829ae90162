"""Every error, sorted by who is to blame. Spec: docs/spec/errors.md.

A leaf is a class with a stable ``code``: the same in the specification, in Python, in TypeScript, in the vectors and on the command line.
A message never holds a secret, a capability or a person's words.
"""

from __future__ import annotations

from typing import ClassVar


class EigenkringError(Exception):
    """The root. ``code`` is stable, the message is for a person who debugs."""

    code: ClassVar[str] = "error"
    default: ClassVar[str] = "something went wrong"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.default)
        self.message = message or self.default


class CodedError(EigenkringError):
    """An error whose code is chosen where it is raised, from the list that its family names in ``codes``."""

    codes: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, code: str, message: str | None = None) -> None:
        if code not in self.codes:
            raise AssertionError(f"{code} is no code of {type(self).__name__}")
        super().__init__(message or code.replace("_", " "))
        self.code = code  # type: ignore[misc]


class Misuse(CodedError):
    """The caller, or the person, asked for what cannot be: nothing was changed."""

    codes = frozenset(
        "bad_argument no_such_case no_such_person no_such_part no_such_item no_such_field no_such_grant bad_path bad_value bad_link "
        "use_grant not_permitted home_exists no_home home_locked already_member unsafe_setting no_such_collection ambiguous not_yet clock bad_attachment too_large".split()
    )


class Unreachable(CodedError):
    """The relay could not be reached, or did not answer in time. Try again later; nothing is lost."""

    codes = frozenset("offline timed_out".split())


class Refused(CodedError):
    """The relay answered no."""

    codes = frozenset(
        "not_allowed no_stream closed expired conflict exists too_large quota not_done bad_operation bad_frame busy slow_down not_admitted".split()
    )


class RelayMisbehaved(CodedError):
    """The relay answered what an honest relay cannot answer."""

    codes = frozenset("rolled_back forked broken_chain relay_garbage new_generation parted".split())


class Inadmissible(CodedError):
    """Signed bytes of a member, a device or a visitor break a rule; ``device`` names the author where it is known (hex)."""

    codes = frozenset(
        # records and attestations
        "bad_record bad_attestation unknown_device unknown_head not_a_writer wrong_epoch not_covered behind_cut false_seen "
        # changes (the strict door)
        "bad_chunk not_canonical bad_time bad_message bad_extra bad_operation bad_value too_large missing_dependency bad_sequence "
        "bad_start bad_actor no_object no_element no_predecessor own_dependency duplicate_change "
        # charter
        "bad_entry wrong_previous wrong_seen not_a_member not_permitted no_such_person no_such_invitation invitation_used bad_statement "
        "no_such_room no_such_part no_such_grant already_there last_owner widens_without_person room_not_turned limit case_closed "
        "future_version "
        # keys, doorstep, views
        "bad_keybag wrong_secret not_for_me wrong_pin not_newer bad_view bad_publisher bad_snapshot left_out bad_export bad_attachment "
        # reports
        "bad_report other_case".split()
    )

    def __init__(self, code: str, message: str | None = None, device: str | None = None) -> None:
        super().__init__(code, message)
        self.device = device


class Ended(CodedError):
    """Access ended in the ordinary way: a removal, a withdrawal, an end date, a link that was used."""

    codes = frozenset("withdrawn removed link_used link_expired".split())


class EngineFailed(EigenkringError):
    """The CRDT engine could not take, make or load something; the document is what it was before."""

    code = "engine_failed"
    default = "the CRDT engine failed"
