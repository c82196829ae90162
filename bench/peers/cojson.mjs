// cojson (Jazz): end-to-end encrypted and signed, its sync server with SQLite. The true peer.
import { LocalNode, getSqliteStorage } from "cojson";
import { NapiCrypto } from "cojson/crypto/NapiCrypto";
import { createWebSocketPeer } from "cojson-transport-ws";
import { WebSocket, WebSocketServer } from "ws";
import Database from "better-sqlite3";
import { join } from "node:path";
import { mkdirSync } from "node:fs";

/** The driver their own server uses, over WAL and `synchronous = FULL`, as our relay has it. */
function sqlite(file) {
  const db = new Database(file);
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = FULL");
  const kept = new Map();
  const prepared = (sql) => {
    if (!kept.has(sql)) kept.set(sql, db.prepare(sql));
    return kept.get(sql);
  };
  return {
    run: (sql, params) => void prepared(sql).run(params),
    get: (sql, params) => prepared(sql).get(params),
    query: (sql, params) => prepared(sql).all(params),
    transaction: (callback) => db.transaction(callback)(),
    closeDb: () => db.close(),
  };
}

export async function serve(folder) {
  const crypto = await NapiCrypto.create();
  const secret = crypto.newRandomAgentSecret();
  const node = new LocalNode(secret, crypto.newRandomSessionID(crypto.getAgentID(secret)), crypto);
  node.setStorage(getSqliteStorage(sqlite(join(folder, "server.db"))));
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise((done) => server.once("listening", done));
  let count = 0;
  server.on("connection", (websocket) => {
    const id = `client-${++count}`;
    node.syncManager.addPeer(
      createWebSocketPeer({ id, role: "client", websocket, expectPings: false, batchingByDefault: false }),
    );
  });
  return `ws://127.0.0.1:${server.address().port}`;
}

const connected = (url) => {
  const websocket = new WebSocket(url);
  return createWebSocketPeer({ id: "server", role: "server", websocket, expectPings: false, batchingByDefault: true });
};

/** An agreement as a plain string under a key of the plan's one map: the least that cojson can be asked, and nobody can write
 * in it together. */
const strings = (_node, _group, map) => ({
  edit: (key, text) => map.set(key, text, "private"),
  seen: () => map.keys().length,
  words: () => map.keys().map((key) => map.get(key)),
  onChange: (listener) => map.subscribe(listener),
});

/** `before` is what `keep` gave: the account of somebody who was here earlier. `model` is how an agreement lies there. */
export async function person(url, folder, before, model = strings) {
  const crypto = await NapiCrypto.create();
  let storage;
  if (folder) {
    mkdirSync(folder, { recursive: true });
    storage = getSqliteStorage(sqlite(join(folder, "own.db")));
  }
  const peers = url ? [connected(url)] : [];
  let account = before;
  let node;
  if (before) {
    node = await LocalNode.withLoadedAccount({ ...before, sessionID: undefined, peers, crypto, storage });
  } else {
    const made = await LocalNode.withNewlyCreatedAccount({ creationProps: { name: "x" }, peers, crypto, storage });
    node = made.node;
    account = { accountID: made.accountID, accountSecret: made.accountSecret };
  }
  let map, group, note, plan;
  return {
    account,
    async create() {
      group = node.createGroup();
      map = group.createMap();
      plan = model(node, group, map);
      return { map: map.id, group: group.id, invite: group.createInvite("writer") };
    },
    async join(made) {
      if (!before) await node.acceptInvite(made.group, made.invite);
      map = await node.load(made.map);
      if (map === "unavailable") throw new Error("unavailable");
      plan = model(node, map.group, map);
    },
    edit: (key, text) => plan.edit(key, text),
    note: () => {
      note = group.createPlainText("");
      return note.id;
    },
    readNote: async (id) => {
      note = await node.load(id);
    },
    type: (at, letter) => (at ? note.insertAfter(at - 1, letter, "private") : note.insertBefore(0, letter, "private")),
    letters: () => note.toString().length,
    words: () => plan.words(),
    seen: () => plan.seen(),
    stuck: () => plan.stuck?.(),
    onChange(listener) {
      const stops = [plan.onChange(listener), ...(note ? [note.subscribe(listener)] : [])];
      return () => {
        for (const stop of stops) stop();
      };
    },
    durable: async () => {
      await node.syncManager.waitForAllCoValuesSync(600_000);
    },
    close: async () => {
      await node.gracefulShutdown();
    },
  };
}
