// The same examples in every run: what is new is for `make test-long` to find, and fails no run that changed nothing.
import fc from "fast-check";

// In a page there is no process.
const isFresh = typeof process !== "undefined" && process.env.EIGENKRING_EXAMPLES === "fresh";
if (!isFresh) fc.configureGlobal({ seed: 1 });
