/** The dev and screenshot entry: rehearsal.html?as=nora&scene=full. Not in the shipped build. */
import "../ui/styles/tokens.css";
import "../ui/styles/base.css";
import "../ui/styles/kit.css";
import { mount } from "svelte";
import App from "../ui/App.svelte";
import { app } from "../ui/app.svelte";
import { Rehearsal, type Scene } from "./rehearsal";

const asked = new URLSearchParams(location.search);
const scene: Scene = { as: asked.get("as") ?? "nora", name: (asked.get("scene") ?? "full") as Scene["name"] };
app.follow();
app.loadSettings();
const target = document.querySelector("#app");
if (target) mount(App, { target, props: { connect: async () => new Rehearsal(scene) } });
