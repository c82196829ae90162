// Hocuspocus: plain Yjs in the server's memory. What no encryption, no signature and no durability cost.
import { HocuspocusProvider, HocuspocusProviderWebsocket } from "@hocuspocus/provider";
import { Server } from "@hocuspocus/server";
import { WebSocket } from "ws";
import * as Y from "yjs";

export async function serve() {
  const server = new Server({ port: 0, address: "127.0.0.1", quiet: true, stopOnSignals: false });
  await server.listen();
  return `ws://127.0.0.1:${server.address.port}`;
}

export async function person(url) {
  const websocketProvider = new HocuspocusProviderWebsocket({ url, WebSocketPolyfill: WebSocket });
  const document = new Y.Doc();
  const map = document.getMap("plan");
  let provider;
  const attach = async (name) => {
    provider = new HocuspocusProvider({ websocketProvider, name, document });
    provider.attach();
    await new Promise((done) => provider.on("synced", done));
  };
  return {
    async create() {
      await attach("plan");
      return "plan";
    },
    join: attach,
    edit: (key, text) => void map.set(key, text),
    note: () => {},
    readNote: async () => {},
    type: (at, letter) => document.getText("note").insert(at, letter),
    letters: () => document.getText("note").length,
    seen: () => map.size,
    onChange(listener) {
      const all = [map, document.getText("note")];
      for (const each of all) each.observe(listener);
      return () => {
        for (const each of all) each.unobserve(listener);
      };
    },
    durable: async () => {},
    close: async () => {
      provider.destroy();
      websocketProvider.destroy();
    },
  };
}
