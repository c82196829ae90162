/** Coming back, own devices, and what a professional says: the verbs of ways.ts as thin calls of the library. */

import type { Words } from "../core/answering";
import { erase } from "../core/erasing";
import { exportCase, type Verified, verified } from "../core/exporting";
import { hex } from "../core/ids";
import { bring } from "../core/importing";
import * as incoming from "../core/incoming";
import { moveIn } from "../core/moving-in";
import * as movingOut from "../core/moving-out";
import * as ownDevices from "../core/own-devices";
import { dayOf as dayOfSender } from "../core/receipts";
import * as recovery from "../core/recovery";
import { renew, saveCopy } from "../core/renewing";
import type { What } from "../core/said";
import { termsOf } from "../core/session/doors";
import { Turn } from "../core/turn";
import { againOf, broughtOf, checkedOf, faultOf } from "./copy";
import { DecidingEngine } from "./deciding-engine";
import { dayOf, partsOf } from "./plain";
import { unzip } from "./unzip";
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
import { zip } from "./zip";

const COPY_NOTE =
  "Kopie voor eigen dossier. De familie ziet in haar logboek dat deze kopie is gemaakt. " +
  "De kopie verandert niet mee met het plan.";
const ALL = { case: null, part: null };

export class WaysEngine extends DecidingEngine implements Ways {
  private readonly bringingTurn = new Turn();
  private step: Bringing | null = null;

  // --- the way back

  async recoveryCode(old?: string): Promise<{ code: string; older: number }> {
    return this.noticing(ALL, async () => {
      await this.device.sync();
      return recovery.makeCode(this.device, old);
    });
  }

  async paper(): Promise<PaperState> {
    return recovery.paperState(this.device);
  }

  async recover(code: string, relay?: string): Promise<CameBack> {
    return this.noticing(ALL, async () => {
      const back = await recovery.recover(this.device, code, this.relay(relay));
      return {
        code: back.code,
        cases: back.cases.map(hex),
        left: back.left.map((one) => ({ ...one, case: hex(one.case) })),
      };
    });
  }

  // --- own devices

  async addDevice(case_: string, compare = false): Promise<string> {
    return this.write(case_, null, (one) => ownDevices.addDevice(one, { compare }));
  }

  async devices(case_: string): Promise<OwnDevice[]> {
    const found = ownDevices.devices(await this.device.case(case_));
    return found.map(({ device, kind, since, isThis }) => ({
      device: hex(device),
      kind,
      since: since > 0 ? dayOf(since) : null,
      isThis,
    }));
  }

  async removeDevice(case_: string, device: string): Promise<Removed> {
    return this.write(case_, null, async (one) => {
      const { renewed } = await ownDevices.removeDevice(one, device);
      const grants = renewed.flatMap((id) => one.charter.grants.get(hex(id)) ?? []);
      const told: Removed["renewed"] = [];
      for (const grant of grants) {
        told.push({ grant: hex(grant.grant), to: (await termsOf(one.session, grant))?.to ?? "" });
      }
      return { renewed: told };
    });
  }

  // --- moving in elsewhere

  async makeAddress(): Promise<Moving> {
    return this.noticing(ALL, async () => {
      await movingOut.makeAddress(this.device);
      return this.moving();
    });
  }

  async moving(): Promise<Moving> {
    const { state, link, until, came } = await movingOut.moving(this.device);
    return {
      state,
      link,
      until: until === null ? null : dayOf(until),
      came: came.map((one) => ({ case: hex(one.case), device: hex(one.device) })),
    };
  }

  async takeBack(): Promise<void> {
    await this.noticing(ALL, () => movingOut.takeBack(this.device));
  }

  async moveIn(link: string): Promise<{ cases: string[]; left: { case: string; code: string }[] }> {
    return this.noticing(ALL, async () => {
      const { cases, left } = await moveIn(this.device, this.allowed(link));
      return { cases: cases.map(hex), left: left.map((one) => ({ ...one, case: hex(one.case) })) };
    });
  }

  // --- what a professional says

  async answerQuestion(grant: string, question: string, text: string): Promise<void> {
    await this.say(grant, "answer", { of: question, text });
  }

  async answerHelp(grant: string, request: string, text: string): Promise<void> {
    await this.say(grant, "answer_help", { of: request, text });
  }

  async proposeCondition(grant: string, text: string, why: string): Promise<void> {
    await this.say(grant, "condition", { text, why });
  }

  async need(grant: string, text: string): Promise<void> {
    await this.say(grant, "need", { text });
  }

  async ask(grant: string, text: string): Promise<void> {
    await this.say(grant, "ask", { text });
  }

  private async say(grant: string, what: What, words: Words): Promise<void> {
    await this.noticing(ALL, () => this.device.say(grant, what, words));
  }

  async opened(grant: string): Promise<void> {
    // Nothing to show changed: only something to send.
    if (await this.device.tellOpened(grant)) this.wrote({ case: null, part: null, only: "status" });
  }

  async saveCopy(grant: string): Promise<SavedCopy> {
    return this.noticing(ALL, async () => {
      const { saved, parts, ...copy } = await saveCopy(this.device, grant);
      const day = dayOf(saved);
      const content = { note: COPY_NOTE, ...copy, saved: day, parts: partsOf(parts, false) };
      const name = `kopie-${copy.grant.slice(0, 8)}-${day}.json`;
      return { name, content: JSON.stringify(content, null, 1), version: copy.version };
    });
  }

  // --- what the family does with it

  async incoming(case_: string): Promise<Incoming[]> {
    const found = await incoming.incoming(await this.device.case(case_));
    return found.map(({ id, grant, said, sender, item }) => ({
      incoming: id,
      grant: hex(grant.grant),
      from: sender,
      what: said.what as Incoming["what"],
      text: said.text,
      why: said.why,
      about: item ?? null,
      at: dayOfSender(said.at),
    }));
  }

  async take(case_: string, id: string): Promise<{ part: string; item: string }> {
    return this.write(case_, null, async (one) => {
      const { part, item } = await incoming.take(one, id);
      return { part, item };
    });
  }

  async renew(
    case_: string,
    grant: string,
    to: string,
    until?: string,
  ): Promise<{ grant: string; link: string }> {
    return this.write(case_, null, async (one) => {
      const given = await renew(one, grant, to, until);
      return { grant: hex(given.grant), link: given.link };
    });
  }

  // --- taking along and erasing

  async exportCase(case_: string): Promise<{ name: string; content: Uint8Array }> {
    const one = await this.device.case(case_);
    const files = await exportCase(one);
    return { name: `kring-${dayOf(this.device.around.clock())}.zip`, content: zip(files) };
  }

  async verify(data: Uint8Array): Promise<Checked> {
    try {
      return checkedOf((await this.unpacked(data)).found);
    } catch (error) {
      return faultOf(error);
    }
  }

  async lookAtCopy(data: Uint8Array): Promise<{ checked: Checked; again: Again | null }> {
    try {
      const { files, found } = await this.unpacked(data, false);
      return { checked: checkedOf(found), again: await againOf(this.device, found, files, this.relay()) };
    } catch (error) {
      return { checked: faultOf(error), again: null };
    }
  }

  /** A phone on which nobody wrote yet has no engine loaded. */
  private async unpacked(
    data: Uint8Array,
    page = true,
  ): Promise<{ files: Map<string, Uint8Array>; found: Verified }> {
    const { engineReady, schema } = this.device.around;
    await engineReady();
    const files = await unzip(data);
    return { files, found: await verified(files, schema, { page }) };
  }

  async bring(data: Uint8Array, name?: string): Promise<Brought> {
    // Two at once would begin two cases.
    return this.bringingTurn.take(() =>
      this.noticing(ALL, async () => {
        try {
          const step = (now: Bringing): void => {
            this.step = now;
            this.tell(ALL);
          };
          return broughtOf(await bring(this.device, await unzip(data), this.relay(), { name, step }));
        } finally {
          this.step = null;
        }
      }),
    );
  }

  async bringing(): Promise<Bringing | null> {
    return this.step;
  }

  async erase(case_: string): Promise<Erased> {
    return this.write(case_, null, async (one) => {
      const erased = await erase(one);
      this.device.forget(one.id);
      return erased;
    });
  }
}
