/** The rehearsal's decisions: only to look at screens (rehearsal.ts). */
import type { Deciding, Decision, Onward, Parted } from "./deciding";
import type { Role } from "./engine";
import { RehearsalLock } from "./rehearsal-lock";

export class RehearsalDeciding extends RehearsalLock implements Deciding {
  #asked: Decision[] = [];

  async setRole(_case: string, _person: string, _role: Role, _until?: string): Promise<void> {}
  async addWithoutPhone(_case: string, _name: string, _standIn: string): Promise<string> {
    return "0".repeat(20);
  }
  async readmit(_case: string, _person: string): Promise<string> {
    return `https://kring.example/#Inv${"Q7x_mK2pVt-9sLw4".repeat(7)}`;
  }
  async cancel(_case: string, _name: string): Promise<void> {}
  async handOver(_case: string, _person: string): Promise<void> {}
  protected letInTo = new Map<string, Set<string>>();
  async letIn(_case: string, part: string, person: string): Promise<void> {
    this.letInTo.set(part, new Set([...(this.letInTo.get(part) ?? []), person]));
  }
  async letOut(_case: string, part: string, person: string): Promise<void> {
    this.letInTo.get(part)?.delete(person);
  }
  async propose(_case: string, what: Decision["what"], person = "", role?: Role): Promise<Decision> {
    const asked = {
      what,
      person,
      name: person && "Fatima",
      role: role ?? "",
      yes: ["Nora"],
      needed: 2,
      done: false,
      mine: true,
    };
    this.#asked = [...this.#asked, asked];
    return asked;
  }
  async approve(_case: string, person?: string): Promise<Decision> {
    const [found] = this.#asked.filter((one) => person === undefined || one.person === person);
    this.#asked = this.#asked.filter((one) => one !== found);
    return { ...(found as Decision), yes: ["Fatima", "Nora"], done: true };
  }
  async asked(_: string): Promise<Decision[]> {
    return this.#asked;
  }
  async parted(_case: string): Promise<Parted | null> {
    const line = { n: 1, at: "2026-11-20T14:12:00", role: null, text: "" };
    return {
      takes: [{ ...line, what: "join", by: "Nora", name: "Bas" }],
      drops: [
        { ...line, what: "remove_person", by: "Nora", name: "Joost" },
        { ...line, n: 2, what: "withdraw", by: "Nora", name: null },
      ],
      again: [
        { what: "remove_person", name: "Joost" },
        { what: "withdraw", name: "" },
      ],
      mayAdopt: this.mayAdopt(),
    };
  }
  async adopt(_case: string): Promise<void> {}
  /** As an owner. */
  protected mayAdopt(): boolean {
    return true;
  }
  async forget(_case: string, _part: string): Promise<void> {}
  async goOn(_case: string, _without: string, _title: string): Promise<Onward> {
    const link = `https://kring.example/#Inv${"Q7x_mK2pVt-9sLw4".repeat(7)}`;
    return { case: "c2".repeat(16), invited: [{ name: "Karim", role: "member", link }] };
  }
}
