/**
 * Every error of the core, sorted by who is to blame. Mirrors core/eigenkring/errors.py; a test compares the lists.
 *
 * A message never holds a secret, a capability or a person's words.
 */

const words = (text: string): ReadonlySet<string> => new Set(text.split(" "));

/** The root. `code` is stable: the same in the specification, in Python and in the vectors. */
export class EigenkringError extends Error {
  readonly code: string;

  constructor(code: string, message?: string) {
    super(message ?? code.replaceAll("_", " "));
    this.code = code;
    this.name = new.target.name;
  }
}

/** An error whose code is chosen where it is raised, from the list that its family names. */
export abstract class CodedError extends EigenkringError {
  constructor(codes: ReadonlySet<string>, code: string, message?: string) {
    if (!codes.has(code)) throw new TypeError(`${code} is no code of this family`);
    super(code, message);
  }
}

/** The caller, or the person, asked for what cannot be: nothing was changed. */
export class Misuse extends CodedError {
  static readonly codes = words(
    "bad_argument no_such_case no_such_person no_such_part no_such_item no_such_field no_such_grant bad_path " +
      "bad_value bad_link use_grant not_permitted home_exists no_home home_locked already_member unsafe_setting " +
      "no_such_collection ambiguous not_yet clock bad_attachment too_large",
  );

  constructor(code: string, message?: string) {
    super(Misuse.codes, code, message);
  }
}

/** The relay could not be reached, or did not answer in time. Try again later; nothing is lost. */
export class Unreachable extends CodedError {
  static readonly codes = words("offline timed_out");

  constructor(code: string, message?: string) {
    super(Unreachable.codes, code, message);
  }
}

/** The relay answered no. */
export class Refused extends CodedError {
  static readonly codes = words(
    "not_allowed no_stream closed expired conflict exists too_large quota not_done bad_operation bad_frame busy " +
      "slow_down not_admitted",
  );

  constructor(code: string, message?: string) {
    super(Refused.codes, code, message);
  }
}

/** The relay answered what an honest relay cannot answer. */
export class RelayMisbehaved extends CodedError {
  static readonly codes = words("rolled_back forked broken_chain relay_garbage new_generation parted");

  constructor(code: string, message?: string) {
    super(RelayMisbehaved.codes, code, message);
  }
}

/** Signed bytes of a member, a device or a visitor break a rule; `device` names the author where known (hex). */
export class Inadmissible extends CodedError {
  static readonly codes = words(
    // records and attestations
    "bad_record future_version bad_attestation unknown_device unknown_head not_a_writer wrong_epoch not_covered behind_cut " +
      "false_seen " +
      // changes (the strict door)
      "bad_chunk not_canonical bad_time bad_message bad_extra bad_operation bad_value too_large missing_dependency " +
      "bad_sequence bad_start bad_actor no_object no_element no_predecessor own_dependency duplicate_change " +
      // charter
      "bad_entry wrong_previous wrong_seen not_a_member not_permitted no_such_person no_such_invitation " +
      "invitation_used bad_statement no_such_room room_not_turned no_such_part no_such_grant already_there last_owner " +
      "widens_without_person limit case_closed " +
      // keys, doorstep, views
      "bad_keybag wrong_secret not_for_me wrong_pin not_newer bad_view bad_publisher bad_snapshot left_out bad_export " +
      "bad_attachment " +
      // reports
      "bad_report other_case",
  );
  readonly device: string | undefined;

  constructor(code: string, message?: string, device?: string) {
    super(Inadmissible.codes, code, message);
    this.device = device;
  }
}

/** Access ended in the ordinary way: a removal, a withdrawal, an end date, a link that was used. */
export class Ended extends CodedError {
  static readonly codes = words("withdrawn removed link_used link_expired");

  constructor(code: string, message?: string) {
    super(Ended.codes, code, message);
  }
}

/** The CRDT engine could not take, make or load something; the document is what it was before. */
export class EngineFailed extends EigenkringError {
  constructor(message = "the CRDT engine failed") {
    super("engine_failed", message);
  }
}
