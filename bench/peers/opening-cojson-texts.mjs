import { person } from "./cojson-texts.mjs";
import * as people from "./opening-people.mjs";

export const household = (...of) => people.household({ person }, ...of);
export const newcomer = (...of) => people.newcomer({ person }, ...of);
