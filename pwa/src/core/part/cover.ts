/** What signatures vouch for among the changes of one record. Spec: docs/spec/part.md (Fold). */
import { type Change, parseChange } from "../change";
import { Inadmissible } from "../errors";
import { type Hex, hex, type StreamId } from "../ids";
import type { Attestation } from "./attestation";
import type { Source } from "./ledger";
import { tagOf } from "./rights";

export interface Cover {
  readonly source: Source;
  readonly tag: Hex;
  readonly reach: ReadonlySet<Hex>;
}

/** The change, or the code with which the door refuses it. */
export function parsedOrRefused(raw: Uint8Array): Change | string {
  try {
    return parseChange(raw);
  } catch (error) {
    if (error instanceof Inadmissible) return error.code;
    throw error;
  }
}

/** What one signature vouches for among these changes: the attested one and its ancestors. */
function reachOf(att: Attestation, graph: ReadonlyMap<Hex, Change>): Set<Hex> {
  const found = new Set<Hex>();
  const todo = [hex(att.newest)];
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const change = graph.get(next);
    if (!change || found.has(change.hash)) continue;
    found.add(change.hash);
    todo.push(...change.deps);
  }
  return found;
}

export function coversOf(
  sources: readonly Source[],
  stream: StreamId,
  graph: ReadonlyMap<Hex, Change>,
): Cover[] {
  return sources.map((source) => ({
    source,
    tag: hex(tagOf(stream, source.att.device)),
    reach: reachOf(source.att, graph),
  }));
}
