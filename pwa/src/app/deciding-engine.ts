/** Who is what, what more than one decides, and beginning anew: the verbs of deciding.ts as thin calls of the library. */
import type { Case } from "../core/case";
import type * as deciding from "../core/deciding";
import { hex } from "../core/ids";
import { BaseEngine } from "./base-engine";
import type { Deciding, Decision, Onward } from "./deciding";
import type { Role } from "./engine";

export class DecidingEngine extends BaseEngine implements Deciding {
  async setRole(case_: string, person: string, role: Role, until?: string): Promise<void> {
    await this.write(case_, null, (one) => one.setRole(person, role, until || undefined));
  }

  async handOver(case_: string, person: string): Promise<void> {
    await this.write(case_, null, (one) => one.handOver(person));
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

  async goOn(case_: string, without: string, title: string): Promise<Onward> {
    return this.noticing({ case: null, part: null }, async () => {
      const { one, invited } = await this.device.goOn(case_, without, title);
      return { case: hex(one.id), invited: [...invited] };
    });
  }
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
