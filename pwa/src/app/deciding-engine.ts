/** Who is what, what more than one decides, and beginning anew: the verbs of deciding.ts as thin calls of the library. */
import type { Case } from "../core/case";
import type * as deciding from "../core/deciding";
import { Misuse } from "../core/errors";
import { hex } from "../core/ids";
import type { EntryLine } from "../core/story";
import { BaseEngine } from "./base-engine";
import type { Deciding, Decision, Onward, Parted } from "./deciding";
import type { LogEntry, Role } from "./engine";
import { isoOf } from "./plain";

export class DecidingEngine extends BaseEngine implements Deciding {
  async setRole(case_: string, person: string, role: Role, until?: string): Promise<void> {
    await this.write(case_, null, (one) => one.setRole(person, role, until || undefined));
  }

  async addWithoutPhone(case_: string, name: string, standIn: string): Promise<string> {
    return this.write(case_, "circle", (one) => one.addWithoutPhone(name, standIn));
  }

  async readmit(case_: string, person: string): Promise<string> {
    return this.write(case_, null, (one) => one.readmit(person));
  }

  async cancel(case_: string, name: string): Promise<void> {
    await this.write(case_, null, (one) => one.cancel(name));
  }

  async handOver(case_: string, person: string): Promise<void> {
    await this.write(case_, null, (one) => one.handOver(person));
  }

  async letIn(case_: string, part: string, person: string): Promise<void> {
    await this.write(case_, part, (one) => one.letIn(part, person));
  }

  async letOut(case_: string, part: string, person: string): Promise<void> {
    await this.write(case_, part, (one) => one.letOut(part, person));
  }

  async propose(case_: string, what: Decision["what"], person?: string, role?: Role): Promise<Decision> {
    return this.write(case_, null, async (one) =>
      shown(one, await one.propose(what, person || undefined, role || undefined)),
    );
  }

  async approve(case_: string, person?: string): Promise<Decision> {
    return this.write(case_, null, async (one) => shown(one, await one.approve(person || undefined)));
  }

  async asked(case_: string): Promise<Decision[]> {
    const one = await this.device.case(case_);
    return (await one.asked()).map((decision) => shown(one, decision));
  }

  async forget(case_: string, part: string): Promise<void> {
    await this.write(case_, null, (one) => one.forget(part));
  }

  async parted(case_: string): Promise<Parted | null> {
    const one = await this.device.case(case_);
    try {
      const { takes, drops, again, mayAdopt } = await one.parted();
      return {
        takes: takes.map(logEntry),
        drops: drops.map(logEntry),
        again: again.map(({ what, name }) => ({ what, name })),
        mayAdopt,
      };
    } catch (error) {
      if (!(error instanceof Misuse && error.code === "not_yet")) throw error;
      return null;
    }
  }

  async adopt(case_: string): Promise<void> {
    await this.write(case_, null, (one) => one.adopt());
  }

  async goOn(case_: string, without: string, title: string): Promise<Onward> {
    return this.noticing({ case: null, part: null }, async () => {
      const { one, invited } = await this.device.goOn(case_, without, title);
      return { case: hex(one.id), invited: [...invited] };
    });
  }
}

export function logEntry(line: EntryLine): LogEntry {
  return { ...line, at: line.at > 0 ? isoOf(line.at) : null };
}

function shown(one: Case, { what, person, role, yes, needed, mine, done }: deciding.Decision): Decision {
  const { people } = one.session.known();
  return {
    what,
    person: person ? hex(person) : "",
    name: (person && people.get(hex(person))?.name) ?? "",
    role,
    yes: [...yes],
    needed,
    done,
    mine,
  };
}
