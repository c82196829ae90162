import { mount } from "svelte";
import App from "./App.svelte";
import { engineReady } from "./engine";

await engineReady();
const target = document.querySelector("#app");
if (target) mount(App, { target });
