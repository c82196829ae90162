// Changes of the JavaScript engine, as JSON. Called by make_engine_changes.py with the folder of the app and Python's changes.
import { createRequire } from "node:module";

const [app, python] = process.argv.slice(2);
const A = createRequire(`${app}/package.json`)("@automerge/automerge");
const hex = (change) => Buffer.from(change).toString("hex");
const last = (doc) => hex(A.getLastLocalChange(doc));
const init = (byte, size = 24) => A.init({ actor: byte.repeat(size) });
const one = (edit, options = {}) => last(A.change(init("04"), { time: 0, ...options }, edit));

const raws = JSON.parse(python).map((text) => Uint8Array.from(Buffer.from(text, "hex")));
const [before] = A.applyChanges(init("02"), raws);
const first = A.change(before, { time: 0 }, (doc) => {
  A.splice(doc, ["woorden"], 1, 0, "ab😀");
  doc.naam = new A.ImmutableString("Ana");
  doc.kaart.b = 1.5;
  doc.nieuw = "tekst";
});
const javascript = [last(first)];
const second = A.change(first, { time: 0 }, (doc) => {
  A.splice(doc, ["woorden"], 0, 2);
  delete doc.deel;
  doc.kaart.a = null;
});
javascript.push(last(second));

const set = (value) => (doc) => {
  doc.a = value;
};
const counted = A.change(init("04"), { time: 0 }, set(new A.Counter(1)));
const counter = last(counted);
console.log(
  JSON.stringify({
    javascript,
    large: last(A.change(init("03"), { time: 0 }, (doc) => {
      doc.groot = 2 ** 60;
    })),
    timed: one(set(1), { time: 1_700_000_000 }),
    message: one(set(1), { message: "hoi" }),
    list: one(set([1])),
    counter,
    increment: last(A.change(counted, { time: 0 }, (doc) => doc.a.increment(2))),
    date: one(set(new Date(0))),
    bytes: one(set(new Uint8Array([1]))),
    uint: one(set(new A.Uint(1))),
    mark: one((doc) => {
      doc.a = "ab";
      A.mark(doc, ["a"], { start: 0, end: 1, expand: "both" }, "bold", true);
    }),
    block: one((doc) => {
      doc.a = "ab";
      A.splitBlock(doc, ["a"], 1, { type: "p" });
    }),
    empty: last(A.emptyChange(init("04"), { time: 0 })),
    short_actor: last(A.change(init("05", 16), { time: 0 }, set(1))),
  }),
);
