// cojson where two people can write in one agreement together, as in ours: the plan is a map of agreements, each a map of its own
// (a `CoMap`) that names the text (a `CoPlainText`) with its words, and the plan names it by its id. That is how Jazz's own
// documentation has such data modelled (CoValues that refer to each other, loaded by a deep subscription). All belong to the group
// of the plan; Jazz itself would make a group for each unless it is told otherwise, which costs more. Ours has three texts in an
// agreement, and here only the one with words is made.
import { person as anyone, serve } from "./cojson.mjs";

export { serve };

const texts = (node, group, map) => {
  const readable = new Map();
  const named = new Set();
  const followed = new Set();
  const listeners = new Set();
  const look = () => {
    for (const listener of listeners) listener();
  };
  /** The map, then what it names, then the text that names: what a deep subscription does. An agreement counts when its words are here. */
  const follow = (key) => {
    named.add(key);
    node.subscribe(map.get(key), (agreement) => {
      if (agreement === "unavailable") throw new Error("an agreement is unavailable");
      const id = agreement.get("what");
      // It may be known before what was written in it is.
      if (!id || followed.has(id)) return;
      followed.add(id);
      node.subscribe(id, (words) => {
        if (words === "unavailable") throw new Error("the words of an agreement are unavailable");
        if (words.toString().length === 0) return;
        readable.set(key, words);
        look();
      });
    });
  };
  map.subscribe(() => {
    if (map.keys().length === named.size) return;
    for (const key of map.keys()) if (!named.has(key)) follow(key);
  });
  return {
    edit(key, text) {
      const words = group.createPlainText(text);
      const agreement = group.createMap({ what: words.id });
      map.set(key, agreement.id, "private");
    },
    seen: () => readable.size,
    words: () => Array.from(readable.values(), (words) => words.toString()),
    stuck: () => ({ named: map.keys().length, readable: readable.size }),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
};

export const person = (url, folder, before) => anyone(url, folder, before, texts);
