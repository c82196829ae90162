/**
 * The device's store in memory: what readers see, and the journal of each step. Alone it is the store of the tests;
 * `indexed-store` adds a disk to it.
 */
import { Misuse } from "../core/errors";
import { type CaseId, type Chain, hex, type RecordBytes, type StreamId } from "../core/ids";
import type { RoomEpoch } from "../core/rooms";
import type {
  Alarm,
  OutboxItem,
  OwnChange,
  Store,
  StoredCase,
  StoredGrant,
  StoredSecret,
} from "../core/store";
import { type PlacedRecord, type Position, startOf } from "../core/stream";

/** A record at its place; null once a snapshot replaced it: its chain value stays, to recognise a fork years later. */
export interface KeptRecord {
  readonly index: number;
  readonly record: RecordBytes | null;
  readonly chain: Chain;
}

/** When it was first put: a disk gives rows back in no order. */
interface Ordered {
  readonly order: number;
}

/** Every table, and what one row of it holds besides its place. */
export interface Rows {
  case: StoredCase & Ordered;
  grant: StoredGrant & Ordered;
  secret: StoredSecret;
  position: Position;
  record: KeptRecord;
  outbox: OutboxItem;
  own: OwnChange & Ordered;
  fact: { readonly value: Uint8Array };
  alarm: Alarm & Ordered;
  /** Null: it lies on the disk only. */
  large: { readonly value: Uint8Array | null };
}
export type Table = keyof Rows;

/** Where a row lies: the table, what it belongs to (a case, and perhaps a stream), and its own key there. */
export interface Place {
  readonly table: Table;
  readonly owner: string;
  readonly key: string;
}
/** One change of a step; `row` undefined: it is deleted. */
export interface Written extends Place {
  readonly row: Rows[Table] | undefined;
}

interface Undo extends Place {
  readonly before: Rows[Table] | undefined;
}

export class MemoryStore implements Store {
  private tables = new Map<string, Map<string, Rows[Table]>>();
  private journal: Undo[] | undefined;
  private order = 0;
  private broken = false;
  private disk: Promise<void> = Promise.resolve();
  /** What steps wrote that the disk has not begun with. */
  private waiting: Map<string, Written> | undefined;

  // --- steps

  step(body: () => void): Promise<void> {
    this.inStep(body);
    return this.settled();
  }

  async settled(): Promise<void> {
    await this.disk;
    if (this.broken) throw lost();
  }

  async close(): Promise<void> {
    await this.disk;
  }

  async tidy(): Promise<void> {}

  /** Keeps the rows of one step, or of several that waited for the disk, all or none. In the order of the steps. */
  protected async keep(_rows: readonly Written[]): Promise<void> {}

  /** Throws when nothing can be read or written now, or not of this table. */
  protected check(_table?: Table): void {}

  get isWhole(): boolean {
    return true;
  }

  async whole(): Promise<void> {
    this.check();
  }

  private next(): number {
    this.order += 1;
    return this.order;
  }

  private inStep(body: () => void): void {
    this.check();
    if (this.journal) {
      body(); // a step inside a step belongs to the outer one
      return;
    }
    this.journal = [];
    try {
      body();
    } catch (error) {
      for (const { table, owner, key, before } of this.journal.reverse()) this.lay(table, owner, key, before);
      this.journal = undefined;
      throw error;
    }
    const written = this.journal;
    this.journal = undefined;
    if (written.length > 0) this.laterKept(written);
  }

  /** With what other steps wrote meanwhile, once the disk is free: of two rows at one place the later one. */
  private laterKept(written: readonly Place[]): void {
    const rows = this.waiting ?? new Map<string, Written>();
    for (const { table, owner, key } of written) {
      rows.set(`${table} ${owner} ${key}`, { table, owner, key, row: this.row(table, owner, key) });
    }
    if (this.waiting) return;
    this.waiting = rows;
    const begun = (): void => {
      if (this.waiting === rows) this.waiting = undefined;
    };
    void this.inTurn(() => {
      begun();
      return this.keep([...rows.values()]);
    }).catch(begun);
  }

  /** What touches the disk, one after the other. After one failure nothing more is kept: it may stand on what was lost. */
  protected inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.disk.then(() => {
      if (this.broken) throw lost();
      return work();
    });
    this.disk = done.catch(() => {
      this.broken = true;
    });
    return done;
  }

  /** Everything was laid on the disk anew: what failed before is on it now. */
  protected async mended(work: () => Promise<void>): Promise<void> {
    await this.disk;
    this.broken = false;
    await this.inTurn(work);
  }

  private lay(table: Table, owner: string, key: string, row: Rows[Table] | undefined): void {
    const name = `${table} ${owner}`;
    let rows = this.tables.get(name);
    if (row === undefined) {
      rows?.delete(key);
      return;
    }
    if (!rows) {
      rows = new Map();
      this.tables.set(name, rows);
    }
    rows.set(key, row);
  }

  protected put<T extends Table>(table: T, owner: string, key: string, row: Rows[T] | undefined): void {
    if (!this.journal) {
      this.inStep(() => this.put(table, owner, key, row));
      return;
    }
    this.journal.push({ table, owner, key, before: this.row(table, owner, key) });
    this.lay(table, owner, key, row);
  }

  /** For a store that comes from a disk: rows as they were kept. */
  protected fill(rows: Iterable<Written>): void {
    for (const { table, owner, key, row } of rows) {
      this.lay(table, owner, key, row);
      const given = row as { order?: number; number?: number } | undefined;
      this.order = Math.max(this.order, given?.order ?? 0, given?.number ?? 0);
    }
  }

  /** Forgets what is in memory, not what is on the disk. */
  protected empty(): void {
    this.tables = new Map();
  }

  /** Every row there is. */
  protected *everything(): IterableIterator<Written> {
    this.check("record");
    for (const [name, rows] of this.tables) {
      const [table, owner] = name.split(" ") as [Table, string];
      for (const [key, row] of rows) yield { table, owner, key, row };
    }
  }

  /** Every row of one table, at its place. */
  protected *rowsOf(table: Table): IterableIterator<Written> {
    for (const [name, rows] of this.tables) {
      const [of, owner = ""] = name.split(" ");
      if (of === table) for (const [key, row] of rows) yield { table, owner, key, row };
    }
  }

  private row<T extends Table>(table: T, owner: string, key: string): Rows[T] | undefined {
    this.check(table);
    return this.tables.get(`${table} ${owner}`)?.get(key) as Rows[T] | undefined;
  }

  private rows<T extends Table>(table: T, owner: string): Rows[T][] {
    this.check(table);
    return [...(this.tables.get(`${table} ${owner}`)?.values() ?? [])] as Rows[T][];
  }

  // --- cases and grants

  cases(): StoredCase[] {
    return this.rows("case", "").sort(byOrder);
  }

  case(caseId: CaseId): StoredCase | undefined {
    return this.row("case", "", hex(caseId));
  }

  putCase(row: StoredCase): void {
    const key = hex(row.case);
    this.put("case", "", key, { ...row, order: this.row("case", "", key)?.order ?? this.next() });
  }

  grants(): StoredGrant[] {
    return this.rows("grant", "").sort(byOrder);
  }

  putGrant(row: StoredGrant): void {
    const key = hex(row.grant);
    this.put("grant", "", key, { ...row, order: this.row("grant", "", key)?.order ?? this.next() });
  }

  // --- secrets

  roomSecrets(caseId: CaseId): StoredSecret[] {
    return this.rows("secret", hex(caseId)).sort((a, b) =>
      a.room === b.room ? a.epoch - b.epoch : a.room < b.room ? -1 : 1,
    );
  }

  putRoomSecrets(caseId: CaseId, secrets: Iterable<StoredSecret>): void {
    const owner = hex(caseId);
    for (const given of secrets) {
      const key = `${given.room}/${given.epoch}`;
      if (!this.row("secret", owner, key)) this.put("secret", owner, key, given);
    }
  }

  dropRoomSecrets(caseId: CaseId, which: Iterable<RoomEpoch>): void {
    for (const { room, epoch } of which) this.put("secret", hex(caseId), `${room}/${epoch}`, undefined);
  }

  // --- streams

  position(caseId: CaseId, stream: StreamId): Position | undefined {
    return this.row("position", hex(caseId), hex(stream));
  }

  chainAt(caseId: CaseId, stream: StreamId, index: number): Chain | undefined {
    if (index === 0) return startOf(stream).chain;
    return this.row("record", of(caseId, stream), `${index}`)?.chain;
  }

  records(caseId: CaseId, stream: StreamId, after = 0): PlacedRecord[] {
    const end = this.position(caseId, stream)?.length ?? 0;
    const owner = of(caseId, stream);
    const found: PlacedRecord[] = [];
    for (let index = after + 1; index <= end; index++) {
      const row = this.row("record", owner, `${index}`);
      if (row?.record) found.push({ index, record: row.record, chain: row.chain });
    }
    return found;
  }

  putRecords(caseId: CaseId, stream: StreamId, position: Position, placed: Iterable<PlacedRecord>): void {
    const owner = of(caseId, stream);
    this.inStep(() => {
      const base = this.position(caseId, stream)?.base ?? 0;
      for (const item of placed) this.put("record", owner, `${item.index}`, item);
      for (let index = base + 1; index <= position.base; index++) {
        const row = this.row("record", owner, `${index}`);
        if (row) this.put("record", owner, `${index}`, { ...row, record: null });
      }
      this.put("position", hex(caseId), hex(stream), position);
    });
  }

  replaceRecords(
    caseId: CaseId,
    stream: StreamId,
    position: Position,
    baseChain: Chain,
    placed: Iterable<PlacedRecord>,
  ): void {
    const owner = of(caseId, stream);
    this.inStep(() => {
      for (const { index } of this.rows("record", owner)) this.put("record", owner, `${index}`, undefined);
      this.put("position", hex(caseId), hex(stream), undefined);
      if (position.base > 0) {
        const base = { index: position.base, record: null, chain: baseChain };
        this.put("record", owner, `${position.base}`, base);
      }
      this.putRecords(caseId, stream, position, placed);
    });
  }

  forgetStream(caseId: CaseId, stream: StreamId): void {
    const owner = of(caseId, stream);
    this.inStep(() => {
      for (const { index } of this.rows("record", owner)) this.put("record", owner, `${index}`, undefined);
      for (const { hash } of this.rows("own", owner)) this.put("own", owner, hex(hash), undefined);
      for (const item of this.outbox(caseId)) {
        if (item.stream && hex(item.stream) === hex(stream)) this.dropOutbox(item.number);
      }
      this.put("position", hex(caseId), hex(stream), undefined);
    });
  }

  // --- outbox and intents

  outbox(caseId: CaseId): OutboxItem[] {
    return this.rows("outbox", hex(caseId)).sort((a, b) => a.number - b.number);
  }

  addOutbox(
    caseId: CaseId,
    stream: StreamId | null,
    record: RecordBytes | null,
    ops: Uint8Array = new Uint8Array(),
  ): number {
    const number = this.next();
    this.put("outbox", hex(caseId), `${number}`, { number, stream, record, ops });
    return number;
  }

  dropOutbox(number: number): void {
    // What a reader says lies under the id of the grant.
    for (const owner of [...this.cases().map((row) => row.case), ...this.grants().map((row) => row.grant)]) {
      if (this.row("outbox", hex(owner), `${number}`)) {
        this.put("outbox", hex(owner), `${number}`, undefined);
      }
    }
  }

  ownChanges(caseId: CaseId, stream: StreamId): OwnChange[] {
    return this.rows("own", of(caseId, stream)).sort(byOrder);
  }

  putOwnChange(caseId: CaseId, stream: StreamId, change: OwnChange): void {
    this.put("own", of(caseId, stream), hex(change.hash), { ...change, order: this.next() });
  }

  dropOwnChange(caseId: CaseId, stream: StreamId, changeHash: Uint8Array): void {
    this.put("own", of(caseId, stream), hex(changeHash), undefined);
  }

  // --- facts and alarms

  fact(caseId: CaseId, name: string): Uint8Array | undefined {
    return this.row("fact", hex(caseId), name)?.value;
  }

  putFact(caseId: CaseId, name: string, value: Uint8Array | null): void {
    this.put("fact", hex(caseId), name, value === null ? undefined : { value });
  }

  async large(caseId: CaseId, name: string): Promise<Uint8Array | undefined> {
    const place = { table: "large", owner: hex(caseId), key: name } as const;
    const row = this.row("large", place.owner, name);
    return row && (row.value ?? (await this.fetched(place)));
  }

  putLarge(caseId: CaseId, name: string, value: Uint8Array | null): void {
    if (value === null && !this.row("large", hex(caseId), name)) return;
    this.put("large", hex(caseId), name, value === null ? undefined : { value });
  }

  /** What lies on the disk only. */
  protected async fetched(_place: Place): Promise<Uint8Array | undefined> {
    return undefined;
  }

  /** It lies on the disk, so it need not lie in memory. */
  protected lighten({ table, owner, key, row }: Written): void {
    if (this.row(table, owner, key) === row) this.lay(table, owner, key, { value: null });
  }

  alarms(caseId: CaseId): Alarm[] {
    return this.rows("alarm", hex(caseId)).sort(byOrder);
  }

  putAlarm(caseId: CaseId, alarm: Alarm): void {
    const key = `${alarm.code} ${alarm.about}`;
    if (this.row("alarm", hex(caseId), key)) return;
    this.put("alarm", hex(caseId), key, { ...alarm, order: this.next() });
  }

  dropAlarm(caseId: CaseId, code: string, about: string): void {
    this.put("alarm", hex(caseId), `${code} ${about}`, undefined);
  }

  eraseCase(caseId: CaseId): void {
    const id = hex(caseId);
    this.inStep(() => {
      for (const { table, owner, key } of [...this.everything()]) {
        const ours = owner === id || owner.startsWith(`${id}/`);
        if (ours || (table === "case" && key === id)) this.put(table, owner, key, undefined);
      }
      for (const row of this.grants())
        if (hex(row.case) === id) this.put("grant", "", hex(row.grant), undefined);
    });
  }
}

function of(caseId: CaseId, stream: StreamId): string {
  return `${hex(caseId)}/${hex(stream)}`;
}

function byOrder(a: Ordered, b: Ordered): number {
  return a.order - b.order;
}

function lost(): Misuse {
  return new Misuse("no_home", "what was written could not be kept on this device");
}
