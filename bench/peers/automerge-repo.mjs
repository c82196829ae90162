// automerge-repo: no encryption, the server loads the documents. `DEBOUNCE=0` asks it to save at once.
import { Repo, splice } from "@automerge/automerge-repo";
import { WebSocketServerAdapter, WebSocketClientAdapter } from "@automerge/automerge-repo-network-websocket";
import { NodeFSStorageAdapter } from "@automerge/automerge-repo-storage-nodefs";
import { WebSocketServer } from "ws";
import { join } from "node:path";

const saving = process.env.DEBOUNCE === undefined ? {} : { saveDebounceRate: Number(process.env.DEBOUNCE) };

export async function serve(folder) {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise((done) => server.once("listening", done));
  new Repo({
    network: [new WebSocketServerAdapter(server)],
    storage: new NodeFSStorageAdapter(join(folder, "server")),
    sharePolicy: async () => false,
    ...saving,
  });
  return `ws://127.0.0.1:${server.address().port}`;
}

export async function person(url, folder) {
  const network = url ? [new WebSocketClientAdapter(url)] : [];
  const storage = folder ? { storage: new NodeFSStorageAdapter(folder) } : {};
  const repo = new Repo({ network, ...storage, ...saving });
  if (url) await network[0].whenReady();
  let handle;
  const seen = () => Object.keys(handle.doc()).length;
  return {
    async create() {
      handle = repo.create({});
      return handle.url;
    },
    async join(made) {
      handle = await repo.find(made);
      await handle.whenReady();
    },
    edit: (key, text) =>
      handle.change((doc) => {
        doc[key] = text;
      }),
    note: () =>
      void handle.change((doc) => {
        doc.note = "";
      }),
    readNote: async () => {},
    type: (at, letter) => handle.change((doc) => splice(doc, ["note"], at, 0, letter)),
    letters: () => handle.doc().note?.length ?? 0,
    seen,
    words: () => Object.values(handle.doc()).map(String),
    document: () => handle.doc(),
    onChange(listener) {
      handle.on("change", listener);
      return () => handle.off("change", listener);
    },
    durable: () => repo.flush(),
    close: () => repo.shutdown(),
  };
}
