/** What was decided, in words: the log, and the decisions that a server lost. */
import type { Access, LogEntry } from "../app/engine";
import { has, t, tk } from "./i18n.svelte";
import { shortName } from "./names";

export function sentence(one: LogEntry): string {
  if (!has(`log.${one.what}`))
    return one.text && one.text !== one.what ? one.text : t("log.unknown", { by: shortName(one.by) });
  const role = one.role ? tk("role", one.role).toLocaleLowerCase() : "";
  return tk("log", one.what, { by: shortName(one.by), name: shortName(one.name ?? t("log.someone")), role });
}

/**
 * The log, newest first, with the copies that readers kept for themselves: nobody decided those, so the charter has no line of
 * them. A receipt has a day and no place among the others: it stands above what is dated before it, or on the same day.
 */
export function withCopies(log: readonly LogEntry[], access: readonly Access[]): LogEntry[] {
  const lines = [...log].reverse();
  for (const { to, copied } of access) {
    if (!copied) continue;
    const below = lines.findIndex((one) => one.at !== null && one.at.slice(0, 10) <= copied.slice(0, 10));
    const line = { n: 0, what: "copied", by: to, name: to, role: null, at: copied, text: "copied" };
    lines.splice(below < 0 ? lines.length : below, 0, line);
  }
  return lines;
}
