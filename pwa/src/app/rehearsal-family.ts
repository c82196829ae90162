/** The fixture family (core/eigenkring/demo.py) as plain data, for rehearsal.ts. */

import { decisionMark } from "../core/consent";
import type {
  Access,
  Alarm,
  CaseInfo,
  Fields,
  LogEntry,
  Parts,
  Pending,
  Person,
  Role,
  ViewInfo,
} from "./engine";
import type { Scene } from "./rehearsal";

export const ID = "5e1f00c0ffee5e1f00c0ffee5e1f00c0";

export interface World {
  people: Person[];
  parts: Parts;
  cases: CaseInfo[];
  views: ViewInfo[];
  access: Access[];
  pending: Pending[];
  log: LogEntry[];
  alarms: Alarm[];
  unsent: number;
}

/** Has no phone: a line of the circle, whose words Oma Ria writes down. */
const OPA = "Opa Henk";
const LINE = "0a".repeat(10);
const CIRCLE: [string, Role, string][] = [
  ["Nora", "owner", ""],
  ["Eva", "member", "dochter, 15"],
  ["Sam", "child", "zoon, 9"],
  ["Fatima", "member", "zus"],
  [OPA, "member", "vader van Nora"],
  ["Oma Ria", "member", "moeder van Nora"],
  ["Karim", "member", "broer"],
  ["Lotte", "member", "vriendin"],
  ["Joost", "member", "buurman"],
  ["Meryem", "member", "vriendin van Fatima"],
  ["Daan", "member", "voetbaltrainer van Sam"],
  ["Ineke", "member", "tante"],
  ["Pieter", "member", "collega"],
  ["Anneke", "coordinator", "Eigen Kracht-coördinator"],
];
const AGREEMENTS: [string, string, string, string, string, string, string][] = [
  ["Wonen", "Fatima komt zes weken bij ons wonen", "Fatima", "Nora", "vanaf maandag", "", "running"],
  ["Wonen", "Nora slaapt uit op dagen dat Fatima er is", "Nora", "Fatima", "doordeweeks", "daily", "running"],
  [
    "Kinderen",
    "Sam en Eva zijn in het weekend bij opa en oma",
    "Oma Ria",
    OPA,
    "zaterdag tot zondag",
    "biweekly",
    "running",
  ],
  [
    "Kinderen",
    "Karim brengt Sam naar voetbal en haalt hem op",
    "Karim",
    "Daan",
    "woensdag 16.00",
    "weekly",
    "done",
  ],
  ["Kinderen", "Lotte doet iets leuks met de kinderen", "Lotte", "Meryem", "zondagmiddag", "monthly", "open"],
  [
    "School",
    "Eva belt Fatima als zij niet naar huis wil",
    "Eva",
    "Fatima",
    "als het nodig is",
    "",
    "running",
  ],
  ["School", "Joost let op dat Sam de bus haalt", "Joost", "", "8.00", "schooldagen", "failing"],
  ["Geld", "Nora en Ineke maken de post samen open", "Ineke", "Nora", "dinsdagavond", "weekly", "running"],
  ["Geld", "Pieter gaat mee naar het gesprek over de schulden", "Pieter", "Nora", "12 december", "", "open"],
];

const ROUND = "Opa Henk haalt Sam op dinsdag van school";
const OBJECTED = "Karim brengt Sam ook op zaterdag naar voetbal";
const idOf = (n: number): string => `${(0xa0 + n).toString(16)}00000000000${(0x100 + n).toString(16)}`;
const item = (n: number): string => (0xb0000 + n).toString(16).padEnd(20, "0");
let made = 0;
/** The plan's items have the first numbers, so that others can refer to them. */
const items = (list: Fields[], first = 20 + made): { [item: string]: Fields } => {
  made += list.length;
  return Object.fromEntries(list.map((one, n) => [item(first + n), one]));
};
export const inDays = (n: number): string => {
  const when = new Date(Date.now() + n * 86_400_000);
  return `${when.getFullYear()}-${String(when.getMonth() + 1).padStart(2, "0")}-${String(when.getDate()).padStart(2, "0")}`;
};

const VIEW_STATES: { [scene: string]: ViewInfo["state"] } = {
  waiting: "waiting",
  words: "waiting",
  stopped: "stopped",
  over: "ended",
};

/** Who decides beside Nora. */
const DECIDE: { [scene: string]: string[] } = { two: ["Fatima"], three: ["Fatima", "Karim"] };

export function family(scene: Scene): World {
  const long = scene.name === "long";
  const small = scene.name === "empty";
  const rename = (name: string): string => {
    if (!long || !["Nora", "Fatima"].includes(name)) return name;
    return name === "Nora"
      ? "Nora Wilhelmina Maria van Oldenbarnevelt-Schimmelpenninck van der Oye tot Wolfheze en Heelsum 🌻".padEnd(
          200,
          "x",
        )
      : "👩🏽‍🦱👨‍👩‍👧‍👦🦄".repeat(12);
  };
  const people: Person[] = CIRCLE.slice(0, small ? 1 : undefined)
    .map(([name, role], n) => ({
      person: idOf(n),
      name: rename(name),
      role: DECIDE[scene.name]?.includes(name) ? "owner" : role,
      me: name.toLowerCase().replace(" ", "") === scene.as,
    }))
    .filter(({ name }) => name !== OPA);
  const who = (name: string): string => people.find((one) => one.name === rename(name))?.person ?? name;
  const me = people.find((one) => one.me);
  const parts: Parts = {};
  for (const kind of [
    "question",
    "circle",
    "strengths",
    "safety",
    "information",
    "private",
    "decisions",
    "plan",
    "help",
  ])
    parts[kind] = {};
  for (const kind of ["safetynet", "agenda", "review", "access"]) parts[kind] = {};
  for (const one of people) {
    for (const kind of ["voice", "answers", "contacts", "preparation", "diary"])
      parts[`${kind}@${one.person}`] = {};
    if (one.role === "child") parts[`house@${one.person}`] = {};
  }
  if (!small) fill(parts, who, long);
  const ended = scene.name === "stopped" || scene.name === "over";
  const reader = scene.as === "dewit";
  const cases: CaseInfo[] =
    scene.as === "new" || reader
      ? []
      : [
          {
            case: ID,
            title: long ? `Thuis bij ${rename("Nora")}` : small ? "Thuis" : "Thuis bij Nora",
            role: me?.role ?? "member",
            state: ended
              ? "ended"
              : scene.name === "waiting" || (scene.name === "words" && scene.as !== "nora")
                ? "waiting"
                : "open",
            closed: scene.name === "over",
            from: scene.as === "nora" ? null : rename("Nora"),
            words: scene.name === "words" ? ["appel", "fietsbel", "dinsdag", "lepel"] : null,
            unsent: 0,
            contributed: scene.as === "eva",
          },
        ];
  const views: ViewInfo[] = reader
    ? [
        {
          grant: "g1",
          from: rename("Nora"),
          to: long ? rename("Fatima") : "De Wit",
          until: inDays(80),
          state: VIEW_STATES[scene.name] ?? "open",
          words: scene.name === "words" ? ["appel", "fietsbel", "dinsdag", "lepel"] : null,
          updated: "2026-11-22T09:41:00",
        },
      ]
    : [];
  return {
    people,
    parts,
    cases,
    views,
    access: small
      ? []
      : access().map((one) =>
          long ? { ...one, to: rename("Fatima"), purpose: `${one.purpose} `.repeat(9) } : one,
        ),
    pending:
      scene.as === "nora" && scene.name === "words"
        ? [
            {
              kind: "words",
              name: "Bas",
              role: "member",
              own: false,
              words: ["appel", "fietsbel", "dinsdag", "lepel"],
              expires: null,
            },
            {
              kind: "words",
              name: "Nora",
              role: null,
              own: true,
              words: ["kaneel", "zolder", "maandag", "emmer"],
              expires: null,
            },
          ]
        : [],
    log: small ? log().slice(0, 1) : log(),
    alarms:
      scene.name === "alarms"
        ? [
            { code: "forked", case: ID, name: "Karim" },
            { code: "parted", case: ID, name: null },
            { code: "rolled_back", case: ID, name: null },
            { code: "bad_record", case: ID, name: "Joost" },
          ]
        : [],
    unsent: scene.name === "offline" ? 3 : 0,
  };
}

function fill(parts: Parts, who: (name: string) => string, long: boolean): void {
  const question =
    "Hoe zorgen we dat Sam en Eva thuis kunnen blijven wonen, ook als het met mij even niet gaat?";
  parts.question = {
    question: {
      question: {
        text: long ? `${question} `.repeat(4) : question,
        better:
          "Dat ik 's nachts slaap, dat de kinderen op tijd op school zijn en dat er iemand is als het misgaat.",
        author: who("Nora"),
        version: 2,
      },
    },
  };
  const named: Fields[] = CIRCLE.slice(1, 13)
    .filter(([name]) => name !== OPA)
    .map(([name, , relation]) => ({
      name,
      person: who(name),
      relation,
      status: "yes",
    }));
  named.push({ name: "Bas", relation: "oude buurman", status: "named", suggested_by: who("Fatima") });
  const line = { name: OPA, relation: "vader van Nora", status: "yes", stand_in: who("Oma Ria") };
  parts.circle = { people: { ...items(named), [LINE]: line } };
  parts.plan = {
    agreements: items(
      AGREEMENTS.map(([topic, what, doer, together, when, recurrence, status]) => ({
        topic,
        what: long ? `${what} `.repeat(5).trim() : what,
        who: who(doer),
        ...(together ? { with: who(together) } : {}),
        when,
        ...(recurrence ? { recurrence } : {}),
        status,
        ...(status === "failing" ? { next: "Karim vraagt of Daan kan rijden" } : {}),
      })),
      0,
    ),
  };
  parts.safety = {
    conditions: items([
      {
        text: "Er is altijd een volwassene thuis als Sam slaapt",
        set_by: "De Wit",
        why: "Sam werd ’s nachts wakker en was alleen.",
        met_by: { [item(0)]: true },
        agreed: true,
      },
      { text: "Nora belt de behandelaar als zij drie nachten niet slaapt", set_by: "Yilmaz" },
    ]),
  };
  parts.information = {
    questions: items([{ text: "Welke schulden zijn er nu precies?", to: "Bos", author: who("Ineke") }]),
  };
  parts.agenda = {
    appointments: items([
      {
        title: "Kring bij elkaar",
        neutral: "Afspraak",
        time: `${inDays(4)}T19:00`,
        place: "bij oma",
        who: who("Oma Ria"),
      },
    ]),
  };
  parts.safetynet = {
    steps: items([
      {
        signal: "Nora komt niet uit bed",
        text: "Eva belt Fatima, daarna oma",
        first: who("Fatima"),
        first_phone: "06 12345678",
        second: who("Oma Ria"),
      },
    ]),
  };
  parts.strengths = {
    items: items([{ kind: "good", text: "Sam gaat graag naar school", author: who("Eva") }]),
  };
  parts.private = {
    ideas: items([{ text: "Misschien kan Eva vaker bij Lotte slapen", author: who("Fatima") }]),
  };
  const asked = (...names: string[]) => Object.fromEntries(names.map((name) => [who(name), true]));
  // Their ids are in addresses, so they stay what they are.
  const [round, objected] = ["d1".repeat(10), "d2".repeat(10)];
  parts.decisions = {
    decisions: {
      ["d0".repeat(10)]: {
        text: "Fatima komt zes weken bij ons wonen",
        state: "adopted",
        evaluation: inDays(42),
      },
      [round]: {
        text: ROUND,
        state: "consent_round",
        version: 2,
        author: who("Fatima"),
        asked: asked("Nora", "Eva", "Fatima", "Karim", "Lotte"),
      },
      [objected]: { text: OBJECTED, state: "objection", asked: asked("Nora", "Karim") },
      ["d3".repeat(10)]: {
        text: "Eva mag in het weekend later thuiskomen",
        state: "clarifying",
        author: who("Eva"),
      },
    },
  };
  const says = (name: string, decision: string, text: string, answer: string, why = "") => {
    const part = `answers@${who(name)}`;
    const line = { decision, version: decisionMark(text), answer, ...(why && { text: why }) };
    parts[part] = { ...parts[part], consents: { ...parts[part]?.consents, ...items([line]) } };
  };
  says("Fatima", round, ROUND, "consent");
  says("Karim", round, "een eerdere tekst", "consent");
  says("Eva", round, ROUND, "objection", "op dinsdag heb ik handbal");
  says("Nora", objected, OBJECTED, "consent");
  says("Karim", objected, OBJECTED, "objection", "dan moet ik twee keer naar de stad rijden");
  const karim = `answers@${who("Karim")}`;
  parts[karim] = {
    ...parts[karim],
    reactions: items([{ decision: round, version: decisionMark(ROUND), text: "Kan opa ook blijven eten?" }]),
  };
  parts[`voice@${who("Fatima")}`] = {
    progress: {
      e1e1e1e1e1e1e1e1e1e1: {
        agreement: item(0),
        result: "half",
        text: "Ik slaap er nog niet elke nacht. Vanaf maandag wel.",
        date: "2026-11-20",
      },
    },
  };
  parts[`voice@${who("Karim")}`] = {
    progress: {
      e2e2e2e2e2e2e2e2e2e2: { agreement: item(0), result: "done", date: "2026-11-18" },
    },
  };
  parts[`voice@${who("Oma Ria")}`] = {
    progress: {
      e3e3e3e3e3e3e3e3e3e3: {
        agreement: item(2),
        result: "done",
        text: "Het was gezellig. Ze mogen altijd komen.",
        date: "2026-11-17",
        for: LINE,
      },
    },
  };
  parts[`contacts@${who("Fatima")}`] = {
    contact: { contact: { phone: "06 12345678", safe: "message_first" } },
  };
}

function access(): Access[] {
  const all = { items: "all" as const, fields: "all" as const };
  const base = { from: "2026-11-10", copied: null, stopped: null, stoppedBy: null };
  return [
    {
      ...base,
      grant: "g1",
      to: "De Wit",
      purpose: "Meedenken over veiligheid thuis",
      parts: ["plan", "safety"],
      until: inDays(80),
      state: "running",
      opened: "2026-11-20T14:05:00",
      selection: { parts: { plan: all, safety: all } },
    },
    {
      ...base,
      grant: "g2",
      to: "Bos",
      purpose: "Schulden: weten wat we samen afspraken",
      parts: ["plan"],
      until: inDays(80),
      state: "offered",
      opened: null,
      selection: { parts: { plan: all } },
    },
    {
      ...base,
      grant: "g3",
      to: "Yilmaz",
      purpose: "Behandeling van Nora",
      parts: ["safety"],
      until: inDays(-3),
      state: "stopped",
      opened: "2026-11-12T08:30:00",
      copied: "2026-11-12T08:35:00",
      stopped: "2026-11-18T20:01:00",
      stoppedBy: idOf(0),
      selection: { parts: { safety: all } },
    },
  ];
}

function log(): LogEntry[] {
  const line = (what: string, by: string, name: string | null, role: string | null, at: string) => ({
    what,
    by,
    name,
    role,
    at,
    text: what,
  });
  return [
    line("found", "Nora", null, null, "2026-11-02T20:10:00"),
    line("invite", "Nora", "Fatima", "member", "2026-11-02T20:30:00"),
    line("join", "Nora", "Fatima", "member", "2026-11-02T20:34:00"),
    line("invite", "Nora", "Anneke", "coordinator", "2026-11-03T09:12:00"),
    line("join", "Nora", "Anneke", "coordinator", "2026-11-03T11:00:00"),
    line("grant", "Nora", "De Wit", null, "2026-11-10T16:20:00"),
    line("withdraw", "Nora", "Yilmaz", null, "2026-11-18T20:01:00"),
    line("some_newer_thing", "Nora", null, null, "2026-11-19T20:01:00"),
  ].map((one, n) => ({ n: n + 1, ...one }));
}
