/** The rehearsal's way back and own devices: only to look at screens (rehearsal.ts). */
import { Failure } from "./engine";
import { RehearsalDeciding } from "./rehearsal-deciding";
import { inDays } from "./rehearsal-family";
import type {
  Again,
  Bringing,
  Brought,
  CameBack,
  Checked,
  Erased,
  Incoming,
  Moving,
  OwnDevice,
  PaperState,
  Removed,
  SavedCopy,
  Ways,
} from "./ways";

const CODES = [
  "7K3M-Q9XD-2V5P-WTAN-84RJ-H6BC-Y1EG-5SZF-0M2K",
  "PD41-ZR7W-6KQ0-X8VB-3NTH-G5YC-92MA-JE6S-TF1D",
];

export class RehearsalWays extends RehearsalDeciding implements Ways {
  #paper: PaperState = { made: false, missing: 1, older: false };
  #devices: OwnDevice[] = [
    { device: "1f".repeat(16), kind: "device", since: "2026-03-02", isThis: true },
    { device: "2e".repeat(16), kind: "device", since: "2026-03-05", isThis: false },
    { device: "3d".repeat(16), kind: "paper", since: "2026-03-05", isThis: false },
  ];

  constructor(alone = false) {
    super();
    if (!alone) return;
    this.#devices = this.#devices.slice(0, 1);
    this.#incoming = [];
  }

  async recoveryCode(old?: string): Promise<{ code: string; older: number }> {
    const [first = "", second = ""] = CODES;
    if (old !== undefined && old !== first) throw new Failure("bad_code");
    const older = this.#paper.made && old === undefined ? 1 : 0;
    this.#paper = { made: true, missing: 0, older: older > 0 };
    return { code: old === undefined ? first : second, older };
  }
  async paper(): Promise<PaperState> {
    return this.#paper;
  }
  async recover(code: string): Promise<CameBack> {
    if (code.replaceAll(/[\s-]/g, "").length !== 36) throw new Failure("bad_code");
    return { code: CODES[1] ?? "", cases: ["c1".repeat(16)], left: [] };
  }
  #moving: Moving = { state: "none", link: null, until: null, came: [] };
  async makeAddress(): Promise<Moving> {
    const link = `https://kring.example/#Home${"b7Xk-2mQpVt9_Lw4".repeat(7).slice(0, 106)}`;
    this.#moving = { state: "out", link, until: inDays(3), came: [] };
    return this.#moving;
  }
  async moving(): Promise<Moving> {
    return this.#moving;
  }
  async takeBack(): Promise<void> {
    this.#moving = { state: "none", link: null, until: null, came: [] };
  }
  async moveIn(): Promise<{ cases: string[]; left: { case: string; code: string }[] }> {
    return { cases: ["c1".repeat(16)], left: [] };
  }
  async addDevice(_: string): Promise<string> {
    return `https://kring.example/#Own${"Q7x_mK2pVt-9sLw4".repeat(7)}`;
  }
  async devices(_: string): Promise<OwnDevice[]> {
    return this.#devices;
  }
  #incoming: Incoming[] = [
    {
      incoming: "0a".repeat(10),
      grant: "a1".repeat(16),
      from: "De Wit",
      what: "answer",
      text: "Ja, dat kan. Bel mij als de datum bekend is.",
      why: "",
      about: null,
      at: "2026-03-14",
    },
    {
      incoming: "0b".repeat(10),
      grant: "a1".repeat(16),
      from: "De Wit",
      what: "condition",
      text: "Er slaapt elke nacht een volwassene in huis",
      why: "Sam is negen en kan niet alleen zijn",
      about: null,
      at: "2026-03-15",
    },
  ];
  async answerQuestion(): Promise<void> {}
  async answerHelp(): Promise<void> {}
  async proposeCondition(): Promise<void> {}
  async need(): Promise<void> {}
  async ask(): Promise<void> {}
  async opened(): Promise<void> {}
  async saveCopy(): Promise<SavedCopy> {
    return { name: "kopie.json", content: "{}", version: 3 };
  }
  async incoming(_: string): Promise<Incoming[]> {
    return this.#incoming;
  }
  async take(_: string, id: string): Promise<{ part: string; item: string }> {
    this.#incoming = this.#incoming.filter((one) => one.incoming !== id);
    return { part: "information", item: id };
  }
  async renew(): Promise<{ grant: string; link: string }> {
    return { grant: "a9".repeat(16), link: await this.addDevice("") };
  }
  async exportCase(): Promise<{ name: string; content: Uint8Array }> {
    return { name: "kring.zip", content: new Uint8Array() };
  }
  async verify(data: Uint8Array): Promise<Checked> {
    if (data.length < 100) return { whole: false, fault: "files", part: "" };
    const changes = [
      { name: "Nora", n: 31 },
      { name: "Fatima", n: 12 },
    ];
    return {
      whole: true,
      title: "Thuis bij Nora",
      by: "Nora",
      at: "2026-11-02",
      people: ["Nora", "Eva", "Sam", "Fatima", "Oma Ria", "Karim", "Lotte", "Anneke"],
      parts: [
        { part: "question", about: "", changes: changes.slice(0, 1), passed: [] },
        { part: "plan", about: "", changes, passed: ["not_a_writer"] },
        { part: "decisions", about: "", changes, passed: [] },
        { part: "voice@a3", about: "Fatima", changes: changes.slice(1), passed: [] },
        { part: "agenda", about: "", changes: [], passed: [] },
      ],
      files: 2,
      page: data.length < 1000,
    };
  }
  async lookAtCopy(data: Uint8Array): Promise<{ checked: Checked; again: Again | null }> {
    const checked = await this.verify(data);
    if (!checked.whole) return { checked, again: null };
    const [me = "", ...others] = checked.people;
    return {
      checked,
      again: {
        me,
        refused: data.length === 201 ? "not_permitted" : null,
        people: others.map((name) => ({ name, role: name === "Sam" ? "child" : "member" })),
        own: ["Fatima", "Karim"],
        readers: [
          { to: "De Wit", again: true },
          { to: "Yilmaz", again: false },
        ],
        old: "open",
        later: true,
        before:
          data.length === 202 || data.length === 205
            ? { case: "c1".repeat(16), done: data.length === 205 }
            : null,
      },
    };
  }
  async bring(data: Uint8Array): Promise<Brought> {
    if (data.length === 203) {
      this.#bringing = { what: "parts", done: 7, of: 19 };
      return new Promise(() => {});
    }
    if (data.length === 204) throw new Failure("offline");
    const link = await this.addDevice("");
    return {
      case: "c1".repeat(16),
      invited: ["Eva", "Fatima", "Karim"].map((name) => ({ name, role: "member", link })),
      given: [{ to: "De Wit", link }],
      left: [{ to: "Yilmaz", code: "not_permitted" }],
    };
  }
  #bringing: Bringing | null = null;
  async bringing(): Promise<Bringing | null> {
    return this.#bringing;
  }
  async erase(): Promise<Erased> {
    return { closed: 9, kept: 0, wasOwner: true, wasAlone: false };
  }
  async removeDevice(_: string, device: string): Promise<Removed> {
    this.#devices = this.#devices.filter((one) => one.device !== device);
    return { renewed: [{ grant: "a1".repeat(16), to: "De Wit" }] };
  }
}
