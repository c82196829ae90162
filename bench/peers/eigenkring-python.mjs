// Ours with the Python client: `eigenkring_person.py` uses the public library, with a home on disk that is as durable as any;
// the relay is the same.
import { fileURLToPath } from "node:url";
import { PYTHON } from "./eigenkring.mjs";

export { serve } from "./eigenkring.mjs";

export const program = (home) => [PYTHON, fileURLToPath(new URL("./eigenkring_person.py", import.meta.url)), home];
