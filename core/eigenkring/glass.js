// The glass relay's page: asks each second what the relay holds and draws it. Nothing here can read any of it.
"use strict";
const TEXTS = {
  nl: {
    title: "De glazen server",
    lead: "Loop binnen als iemand uit de familie van Nora. Schrijf iets, en zie op deze bladzijde wat de server daarvan heeft.",
    walk: "Loop binnen als",
    nora: "Nora, de moeder",
    anneke: "Anneke, de coördinator",
    "de-wit": "De Wit, de jeugdbeschermer",
    note: "Elk opent een eigen telefoon in een nieuw venster. Deze familie is verzonnen, en deze bladzijde hoort alleen bij de demo.",
    holds: "Dit heeft de server. Meer niet.",
    each: "Elke regel is een lijst met een nummer dat niets betekent. Elk blokje is een bericht: de kleuren zijn de echte bytes. Druk erop om ze te lezen.",
    total: (a, b, c) => `${a} lijsten, ${b} berichten, ${c} kB ruis`,
    stream: (n, kb) => `${n === 1 ? "1 bericht" : `${n} berichten`}, ${kb} kB`,
    empty: (n) => `${n === 1 ? "1 lijst waarin" : `${n} lijsten waarin`} nu niets staat`,
    record: (n, size) => `Bericht ${n}, ${size} bytes`,
    busy: "Even de deur openen…",
    opened: "Er is een venster geopend. De eerste keer duurt bevestigen een paar tellen.",
    failed: "De deur gaat nu niet open. Probeer het over een minuut nog eens.",
    gone: "De server antwoordt niet.",
  },
  en: {
    title: "The glass server",
    lead: "Walk in as somebody of Nora's family. Write something, and see on this page what the server has of it.",
    walk: "Walk in as",
    nora: "Nora, the mother",
    anneke: "Anneke, the coordinator",
    "de-wit": "De Wit, youth protection",
    note: "Each opens a phone of its own in a new window. This family is invented, and this page belongs to the demo only.",
    holds: "This is what the server has. No more.",
    each: "Each line is a list with a number that means nothing. Each block is a message: the colours are its real bytes. Press one to read them.",
    total: (a, b, c) => `${a} lists, ${b} messages, ${c} kB of noise`,
    stream: (n, kb) => `${n === 1 ? "1 message" : `${n} messages`}, ${kb} kB`,
    empty: (n) => `${n === 1 ? "1 list" : `${n} lists`} with nothing in them now`,
    record: (n, size) => `Message ${n}, ${size} bytes`,
    busy: "Opening the door…",
    opened: "A window was opened. The first time, confirming takes a few seconds.",
    failed: "The door does not open now. Try again in a minute.",
    gone: "The server does not answer.",
  },
};
const lang = navigator.language.startsWith("nl") ? "nl" : "en";
const texts = TEXTS[lang];
document.documentElement.lang = lang;
document.title = texts.title;
for (const one of document.querySelectorAll("[data-t]")) one.textContent = texts[one.dataset.t];

const said = document.getElementById("said");
const list = document.getElementById("streams");
const emptyLists = document.getElementById("empty");
const kilobytes = (bytes) => new Intl.NumberFormat(lang).format(Math.round(bytes / 1024));

for (const button of document.querySelectorAll("[data-who]"))
  button.addEventListener("click", async () => {
    const { who } = button.dataset;
    // Opened before anything is waited for, else the browser takes it for a window that nobody asked for.
    const phone = open("about:blank", `eigenkring-${who}`, "popup,width=390,height=844");
    button.disabled = true;
    said.textContent = texts.busy;
    try {
      const again = localStorage.getItem(who) ? "1" : "0";
      const answer = await fetch(`/enter?who=${who}&again=${again}`, { method: "POST", headers: { "X-Glass": "1" } });
      if (!answer.ok) throw new Error("refused");
      const { address } = await answer.json();
      localStorage.setItem(who, "1");
      button.dataset.address = address;
      if (phone) phone.location.replace(address);
      said.textContent = texts.opened;
    } catch {
      phone?.close();
      said.textContent = texts.failed;
    } finally {
      button.disabled = false;
    }
  });

const drawn = new Map();

function draw(stream) {
  let row = drawn.get(stream.id);
  if (!row) {
    const item = document.createElement("li");
    const name = document.createElement("div");
    name.className = "id";
    const count = document.createElement("div");
    count.className = "muted";
    const records = document.createElement("div");
    records.className = "records";
    const bytes = document.createElement("pre");
    bytes.hidden = true;
    name.textContent = stream.id;
    item.append(name, count, records, bytes);
    row = { item, count, records, bytes, seen: "" };
    drawn.set(stream.id, row);
  }
  const now = `${stream.length}/${stream.bytes}`;
  if (row.seen === now) return row;
  row.count.textContent = texts.stream(stream.length, kilobytes(stream.bytes));
  row.records.replaceChildren(
    ...stream.records.map(([n, size, noise]) => {
      const block = document.createElement("button");
      block.type = "button";
      block.title = texts.record(n, size);
      block.setAttribute("aria-label", block.title);
      for (let at = 0; at < 32; at += 2) {
        const cell = document.createElement("i");
        cell.style.background = `hsl(${Math.round((360 * Number.parseInt(noise.slice(at, at + 2) || "0", 16)) / 256)} 45% 55%)`;
        block.append(cell);
      }
      block.addEventListener("click", () => read(row, stream.id, n));
      return block;
    }),
  );
  if (row.seen || !first) {
    row.item.classList.add("fresh");
    setTimeout(() => row.item.classList.remove("fresh"), 2500);
    list.prepend(row.item);
  }
  row.seen = now;
  return row;
}

async function read(row, stream, n) {
  const answer = await fetch(`/record?stream=${stream}&n=${n}`);
  if (!answer.ok) return;
  const { size, bytes } = await answer.json();
  row.bytes.hidden = false;
  row.bytes.textContent = `${texts.record(n, size)}\n${bytes.replace(/(.{8})/g, "$1 ")}${size * 2 > bytes.length ? "…" : ""}`;
}

let first = true;
async function look() {
  try {
    const all = await (await fetch("/rows")).json();
    document.getElementById("total").textContent = texts.total(all.count, all.records, kilobytes(all.bytes));
    // Where nothing lies there is nothing to look at: these are counted, and come into the list with their first message.
    const filled = all.streams.filter((one) => one.records.length > 0);
    const empty = all.streams.length - filled.length;
    emptyLists.textContent = empty > 0 ? texts.empty(empty) : "";
    const here = new Set(filled.map((one) => one.id));
    for (const [id, row] of drawn)
      if (!here.has(id)) {
        row.item.remove();
        drawn.delete(id);
      }
    for (const stream of filled) {
      const { item } = draw(stream);
      if (!item.isConnected) list.append(item);
    }
    first = false;
  } catch {
    document.getElementById("total").textContent = texts.gone;
  }
  setTimeout(look, 1000);
}
look();
