// The page's end of the worker: what it does when the system ends the worker without a word.
import { expect, test } from "vitest";
import { overMessages } from "../src/app/connect";
import type { Call, ToPage } from "../src/app/messages";

class Port {
  static all: Port[] = [];
  onmessage: ((event: MessageEvent<ToPage>) => void) | null = null;
  onerror: ((event: ErrorEvent) => void) | null = null;
  readonly heard: Call[] = [];

  constructor(readonly ended: () => void) {
    Port.all.push(this);
  }
  postMessage(call: Call): void {
    this.heard.push(call);
  }
  answer(call: Call, value: unknown): void {
    const answer = { id: call.id, ok: true as const, value };
    this.onmessage?.({ data: { kind: "answer", answer } } as MessageEvent<ToPage>);
  }
}
const last = (): Port => Port.all.at(-1) as Port;

test("a worker that was ended is begun anew: a question is asked again, and of a deed nobody knows", async () => {
  Port.all = [];
  const changes: unknown[] = [];
  const engine = overMessages((ended) => new Port(ended));
  engine.subscribe((change) => changes.push(change));
  const asked = engine.cases();
  const done = engine.set("aa", "plan", "agreements/x/what", "nieuw");
  const first = last();
  expect(first.heard.map(({ verb }) => verb)).toEqual(["cases", "set"]);
  first.ended();
  await expect(done).rejects.toMatchObject({ code: "busy" });
  expect(last()).not.toBe(first);
  expect(last().heard.map(({ verb }) => verb)).toEqual(["cases"]);
  last().answer(last().heard[0] as Call, [{ title: "Thuis" }]);
  expect(await asked).toEqual([{ title: "Thuis" }]);
  // The screens read again what they show.
  expect(changes).toEqual([{ case: null, part: null }]);
});

test("one that ends again and again is left alone, and that is said", async () => {
  Port.all = [];
  const engine = overMessages((ended) => new Port(ended));
  const asked = engine.cases();
  asked.catch(() => {});
  for (let n = 0; n < 6; n++) last().ended();
  await expect(asked).rejects.toMatchObject({ code: "internal" });
  await expect(engine.cases()).rejects.toMatchObject({ code: "internal" });
  expect(Port.all).toHaveLength(6);
});
