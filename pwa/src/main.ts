import "./ui/styles/tokens.css";
import "./ui/styles/base.css";
import "./ui/styles/kit.css";
import { mount } from "svelte";
import { connect, screens } from "./app/connect";
import App from "./ui/App.svelte";
import { app } from "./ui/app.svelte";
import { install } from "./ui/install.svelte";
import { currentProfile, showIcons } from "./ui/place.svelte";

// First of all: a link with a secret leaves the address bar.
app.follow();
app.loadSettings();
install.listen(window);
const target = document.querySelector("#app");
if (target) mount(App, { target, props: { connect: () => connect(currentProfile()) } });
if (import.meta.env.PROD) void install.begin();
void screens.wait().then(showIcons);
