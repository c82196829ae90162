/** One line of who may read, why, and until when, as far as this person knows it. */
import type { Case } from "../core/case";
import type { Grant } from "../core/charter/state";
import { hex } from "../core/ids";
import { termsOf } from "../core/session/doors";
import type { Access } from "./engine";
import { dayOf, selectionOf } from "./plain";

/** What the charter, the terms and the part `access` say of one grant, as far as this person reads them. */
export async function accessOf(one: Case, grant: Grant): Promise<Access> {
  const terms = await termsOf(one.session, grant);
  const part = one.charter.parts.get("access");
  const opened = part && one.session.parts.get(hex(part.stream));
  const lines = opened && one.session.read(opened).get("grants");
  const line = terms && lines?.get(terms.access);
  const text = (field: string): string | null => {
    const value = line?.get(field);
    return typeof value === "string" && value !== "" ? value : null;
  };
  const isOver = one.session.around.clock() >= grant.until;
  return {
    grant: hex(grant.grant),
    to: terms?.to ?? grant.name,
    purpose: text("purpose") ?? "",
    parts: terms ? [...terms.selection.parts.keys()] : [],
    from: text("from"),
    until: dayOf(grant.until),
    state:
      grant.endedN !== null
        ? isOver
          ? "ended"
          : "stopped"
        : isOver
          ? "ended"
          : grant.device
            ? "running"
            : "offered",
    opened: text("opened"),
    copied: text("copied"),
    stopped: text("stopped"),
    stoppedBy: text("stopped_by"),
    selection: terms ? selectionOf(terms.selection) : null,
  };
}
