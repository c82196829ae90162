/**
 * Own changes that were refused or voided, made again from what the person did. Spec: docs/spec/part.md (Made again).
 *
 * What was made then stood on a document that is another one now. Two rules: the person's words come back, and nobody else's
 * words go.
 */
import type { Node, Obj, Reading } from "../crdt";
import { applyIntents, type DocumentEngine, type Fields, type Intent, type KindRules } from "../document";
import { scalarsOf, smallestSplice } from "../texts";

type Reader = Reading & { readonly root: Obj };

/**
 * To be asked before the intents are applied: the form in which they can be made again. A text that is set becomes the
 * splice it is, with the words it removes: the whole text, set later, would undo what others wrote.
 */
export function keptIntents(engine: Reader, intents: readonly Intent[]): Intent[] {
  const touched = new Set<string>();
  return intents.map((intent) => {
    if (intent[0] !== "set" && intent[0] !== "splice") return intent;
    const path = JSON.stringify(intent[1]);
    const node = fieldAt(engine, intent[1]);
    // The second time in one act the text is no longer the one that is there now.
    const isFirst = !touched.has(path);
    touched.add(path);
    return node?.kind === "text" && isFirst ? asSplice(engine.text(node.obj), intent) : intent;
  });
}

function asSplice(now: string, intent: Intent): Intent {
  let splice: readonly [number, number, string];
  if (intent[0] === "splice") splice = [intent[2], intent[3], intent[4]];
  else if (intent[0] === "set" && typeof intent[2] === "string") splice = smallestSplice(now, intent[2]);
  else return intent;
  const [position, count] = splice;
  const removed = scalarsOf(now)
    .slice(position, position + count)
    .join("");
  return ["splice", intent[1] as readonly string[], ...splice, removed];
}

/** The new changes. Throws Misuse only for what was misuse the first time. */
export function remake(
  engine: DocumentEngine,
  schema: KindRules | undefined,
  intents: readonly Intent[],
): Uint8Array[] {
  const changes: Uint8Array[] = [];
  for (const intent of intents) {
    // One by one: what the next one finds depends on the one before.
    for (const step of possible(engine, intent)) changes.push(...applyIntents(engine, schema, [step]));
  }
  return changes;
}

function* possible(engine: Reader, intent: Intent): Generator<Intent> {
  switch (intent[0]) {
    case "add": {
      const [, collection, item, fields] = intent;
      if (!itemAt(engine, [collection, item])) yield intent;
      else for (const [name, value] of entries(fields)) yield ["set", [collection, item, name], value];
      return;
    }
    case "set": {
      const [, path, value] = intent;
      const [collection, item, name] = path;
      const isGone = path.length === 3 && !itemAt(engine, path);
      if (isGone) yield ["add", collection as string, item as string, new Map([[name as string, value]])];
      else yield intent;
      return;
    }
    case "delete": {
      const [, path] = intent;
      if (path.length === 2 ? itemAt(engine, path) : fieldAt(engine, path)) yield intent;
      return;
    }
    case "splice": {
      const [, path, position, , text, removed = ""] = intent;
      const node = fieldAt(engine, path);
      if (node?.kind === "text") {
        yield ["splice", path, ...place(engine.text(node.obj), position, removed), text];
      } else if (text) yield* possible(engine, ["set", path, text]);
      return;
    }
    default:
      yield intent;
  }
}

/** Where to put in, and how much to take out: the very words that were taken out then, or nothing. */
function place(text: string, position: number, removed: string): readonly [at: number, count: number] {
  const now = scalarsOf(text);
  const count = scalarsOf(removed).length;
  if (removed && now.slice(position, position + count).join("") === removed) return [position, count];
  const found = removed ? text.indexOf(removed) : -1;
  const isOnce = found >= 0 && text.indexOf(removed, found + removed.length) < 0;
  if (isOnce) return [scalarsOf(text.slice(0, found)).length, count];
  return [Math.min(position, now.length), 0];
}

function entries(fields: Fields): Iterable<readonly [string, unknown]> {
  return fields instanceof Map ? fields : Object.entries(fields);
}

function itemAt(engine: Reader, path: readonly string[]): (Node & { readonly obj: Obj }) | undefined {
  const node = engine.get(engine.root, `${path[0]}/${path[1]}`);
  return node?.kind === "map" ? node : undefined;
}

function fieldAt(engine: Reader, path: readonly string[]): Node | undefined {
  const item = itemAt(engine, path);
  return item && path.length >= 3 ? engine.get(item.obj, path[2] as string) : undefined;
}
