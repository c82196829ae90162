import { describe, expect, test } from "vitest";
import type { Chain, RecordBytes, StreamId } from "../src/core/ids";
import { accept, openRecord, type Position, sealRecord, startOf } from "../src/core/stream";
import type { Batch } from "../src/core/wire";
import { extend } from "../src/crypto/chain";
import { outcome } from "./vectors";

const STREAM = new Uint8Array(16).fill(3) as StreamId;
const records = [1, 2, 3, 4].map((fill) => new Uint8Array(40).fill(fill) as RecordBytes);
const chains: Chain[] = [startOf(STREAM).chain];
for (const record of records) chains.push(extend(chains.at(-1) as Chain, record) as Uint8Array as Chain);
const at = (length: number): Position => ({ base: 0, length, chain: chains[length] as Chain });

/** What an honest relay answers to a read after `from`, with the stream at `to`. */
function honest(from: number, to: number, base = 0): Batch {
  const first = Math.max(base, from) + 1;
  return {
    base,
    base_chain: chains[base] as Chain,
    length: to,
    chain: chains[to] as Chain,
    first,
    records: records.slice(first - 1, to),
    more: false,
  };
}
const verdict = (position: Position, batch: Batch) =>
  outcome(
    () =>
      accept(position, batch, (length) => (length <= position.length ? chains[length] : undefined)).position,
  );

describe("what a device checks of the relay", () => {
  test("an honest relay is believed", async () => {
    expect(await verdict(at(0), honest(0, 4))).toEqual({ out: at(4) });
    expect(await verdict(at(4), honest(4, 4))).toEqual({ out: at(4) });
    expect(
      await verdict(at(1), { ...honest(1, 3), length: 4, chain: chains[4] as Chain, more: true }),
    ).toEqual({ out: at(3) });
    const replaced = accept(at(1), honest(1, 4, 3), () => undefined);
    expect(replaced).toMatchObject({ replaced: true, position: { base: 3, length: 4 } });
  });

  const other = new Uint8Array(32).fill(9) as Chain;
  test.each<[string, Position, Batch, string]>([
    ["shorter than known", at(4), honest(3, 3), "rolled_back"],
    ["the same length, another head", at(2), { ...honest(2, 2), chain: other }, "forked"],
    ["another past at the base", at(2), { ...honest(2, 4, 1), base_chain: other }, "forked"],
    [
      "records in another order",
      at(0),
      { ...honest(0, 2), records: records.slice(0, 2).reverse() },
      "broken_chain",
    ],
    ["a record dropped", at(0), { ...honest(0, 2), records: records.slice(0, 1) }, "broken_chain"],
    [
      "more records than the stream is long",
      at(0),
      { ...honest(0, 2), records: records.slice(0, 3) },
      "relay_garbage",
    ],
    ["beginning elsewhere", at(0), { ...honest(0, 2), first: 2 }, "relay_garbage"],
    ["a base beyond the end", at(0), { ...honest(0, 2), base: 3 }, "relay_garbage"],
    [
      "a base beyond the end, and more to come",
      at(0),
      { ...honest(0, 2), base: 3, first: 4, records: [], more: true },
      "relay_garbage",
    ],
    ["a stream beyond all counting", at(0), { ...honest(0, 2), length: 2 ** 60 }, "relay_garbage"],
    ["taken away with nothing in its place", at(1), { ...honest(1, 3, 3), records: [] }, "broken_chain"],
  ])("%s", async (_, position, batch, error) => {
    expect(await verdict(position, batch)).toEqual({ error });
  });

  test("without the read secret nothing is sealed or opened", async () => {
    const blind = { stream: STREAM };
    await expect(sealRecord(blind, new Uint8Array(), new Uint8Array(24))).rejects.toThrow("read secret");
    await expect(openRecord(blind, new Uint8Array())).rejects.toThrow("read secret");
  });
});
