import * as Automerge from "@automerge/automerge";
import { person } from "./automerge-repo.mjs";
import * as people from "./opening-people.mjs";

/** What the document itself needs, without anything around it. */
const reference = (first) => ({ bytes: Automerge.save(first.document()), load: (bytes) => Automerge.load(bytes) });

export const household = (...of) => people.household({ person, reference }, ...of);
export const newcomer = (...of) => people.newcomer({ person }, ...of);
