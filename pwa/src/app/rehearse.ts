/**
 * The dev and screenshot entry: rehearsal.html?as=nora&scene=full. Not in the shipped build.
 *
 * `rehearse(as, scene, address)` puts another scene on the same page: the app is taken down and built anew, without loading it again.
 */
import "../ui/styles/tokens.css";
import "../ui/styles/base.css";
import "../ui/styles/kit.css";
import { mount, unmount } from "svelte";
import App from "../ui/App.svelte";
import { app } from "../ui/app.svelte";
import { install } from "../ui/install.svelte";
import { Rehearsal, type Scene } from "./rehearsal";
import { troubled } from "./rehearsal-trouble";

let shown: ReturnType<typeof mount> | undefined;

async function rehearse(as: string, name: string, address?: string): Promise<void> {
  if (shown) await unmount(shown);
  if (address !== undefined) history.replaceState(null, "", address);
  app.link = null;
  app.hidden = false;
  app.locked = false;
  app.follow();
  const target = document.querySelector("#app");
  const scene: Scene = { as, name: name as Scene["name"] };
  const connect = async () => troubled(new Rehearsal(scene), name);
  if (target) shown = mount(App, { target, props: { connect } });
}

const asked = new URLSearchParams(location.search);
app.loadSettings();
install.listen(window);
void rehearse(asked.get("as") ?? "nora", asked.get("scene") ?? "full");
Object.assign(globalThis, { rehearse });
