/** Coming back, own devices, and what a professional says: the verbs of ways.ts as thin calls of the library. */
import { hex } from "../core/ids";
import * as ownDevices from "../core/own-devices";
import * as recovery from "../core/recovery";
import { termsOf } from "../core/session/doors";
import { BaseEngine } from "./base-engine";
import { dayOf } from "./plain";
import type { CameBack, OwnDevice, PaperState, Removed, Ways } from "./ways";

const ALL = { case: null, part: null };

export class WaysEngine extends BaseEngine implements Ways {
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

  async addDevice(case_: string): Promise<string> {
    return this.write(case_, null, (one) => ownDevices.addDevice(one));
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
      const { renew } = await ownDevices.removeDevice(one, device);
      const grants = renew.flatMap((id) => one.charter.grants.get(hex(id)) ?? []);
      const told: Removed["renew"] = [];
      for (const grant of grants) {
        told.push({ grant: hex(grant.grant), to: (await termsOf(one.session, grant))?.to ?? "" });
      }
      return { renew: told };
    });
  }
}
