/** How a part of a copy is called. */
import { words } from "./i18n.svelte";
import { shortName } from "./names";
import { kindRule } from "./schema";

/** `about`: the name of whom it is about, or empty. */
export function titleOf(part: string, about: string): string {
  return `${words(kindRule(part)?.title) || part}${about ? `: ${shortName(about)}` : ""}`;
}
