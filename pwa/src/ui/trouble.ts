/**
 * Every code of the core in plain words: which sentence, and which next step. Many codes are one thing to a person.
 * The sentences are `trouble.GROUP` and `trouble.GROUP.do` in the language files. test/codes.test.ts finds what is missing.
 */

const GROUPS = {
  offline: "offline timed_out",
  busy: "busy slow_down conflict not_done",
  link: "bad_link wrong_pin bad_argument no_such_invitation",
  link_used: "link_used invitation_used",
  link_expired: "link_expired",
  use_grant: "use_grant",
  gone: "no_such_case no_such_person no_such_part no_such_item no_such_field no_such_grant no_such_collection bad_path ambiguous no_such_room",
  clock: "clock",
  value: "bad_value",
  not_permitted: "not_permitted not_allowed not_a_writer not_a_member",
  already: "already_member already_there exists",
  locked: "home_locked",
  no_home: "no_home home_exists",
  unsafe: "unsafe_setting",
  large: "too_large",
  full: "quota limit",
  relay_closed: "closed expired no_stream",
  relay_refused: "not_admitted",
  relay_words: "bad_operation bad_frame",
  rolled_back: "rolled_back",
  forked: "forked wrong_previous wrong_seen",
  relay_garbage: "relay_garbage broken_chain",
  new_generation: "new_generation",
  parted: "parted",
  future: "future_version",
  noise:
    "bad_record bad_attestation unknown_device unknown_head wrong_epoch not_covered bad_chunk not_canonical bad_time " +
    "bad_message bad_extra missing_dependency bad_sequence bad_start bad_actor no_object no_element no_predecessor " +
    "own_dependency duplicate_change bad_entry bad_statement not_newer bad_snapshot left_out",
  false_seen: "false_seen",
  behind_cut: "behind_cut",
  last_owner: "last_owner",
  room_not_turned: "room_not_turned",
  widens: "widens_without_person",
  keys: "bad_keybag wrong_secret not_for_me unopenable bad_padding bad_signature bad_key crypto_error",
  view: "bad_view bad_publisher",
  code: "bad_code",
  attachment: "bad_attachment",
  copy: "bad_export",
  report: "bad_report other_case",
  withdrawn: "withdrawn",
  removed: "removed",
  case_ended: "case_closed",
  engine: "engine_failed engine_differs",
  not_yet: "not_yet",
  internal: "internal error",
} as const;

export type Group = keyof typeof GROUPS;

const groupOf = new Map<string, Group>(
  Object.entries(GROUPS).flatMap(([group, codes]) =>
    codes.split(" ").map((code) => [code, group as Group] as const),
  ),
);

export const groups = Object.keys(GROUPS) as Group[];
export const knowsCode = (code: string): boolean => groupOf.has(code);
export const troubleOf = (code: string): Group => groupOf.get(code) ?? "internal";

/** What asks for a person's attention, and not only for patience. */
const SERIOUS: ReadonlySet<Group> = new Set([
  "rolled_back",
  "forked",
  "relay_garbage",
  "keys",
  "false_seen",
  "parted",
]);
export const isSerious = (code: string): boolean => SERIOUS.has(troubleOf(code));
