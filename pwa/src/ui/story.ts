/** One line of what was decided, in words: the log, and the decisions that a server lost. */
import type { LogEntry } from "../app/engine";
import { has, t, tk } from "./i18n.svelte";
import { shortName } from "./names";

export function sentence(one: LogEntry): string {
  if (!has(`log.${one.what}`))
    return one.text && one.text !== one.what ? one.text : t("log.unknown", { by: shortName(one.by) });
  const role = one.role ? tk("role", one.role).toLocaleLowerCase() : "";
  return tk("log", one.what, { by: shortName(one.by), name: shortName(one.name ?? t("log.someone")), role });
}
