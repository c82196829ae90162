/**
 * Runs the test files of this folder's parent in a page, with vitest's own runner and `expect`: the same files, the same
 * least numbers of vectors. `?files=change,part` chooses; what came of it stands in `told` when `told.done`.
 */
import type { File, Task, VitestRunner } from "@vitest/runner";
import { startTests } from "vitest/internal/browser";
import { engineReady } from "../../src/engine";

interface Outcome {
  done: boolean;
  /** Tests that passed, of each file. */
  passed: Record<string, number>;
  failed: string[];
}

declare global {
  var told: Outcome;
}
globalThis.told = { done: false, passed: {}, failed: [] };
// `expect` and `vi` ask for it; in vitest the worker lays it there.
Object.assign(globalThis, {
  __vitest_worker__: { config: {}, current: undefined, environment: { name: "page" } },
});

const FILES = import.meta.glob("../*.test.ts");
const nameOf = (path: string): string => path.slice("../".length, -".test.ts".length);

function tell(task: Task, file: string): void {
  if ("tasks" in task) for (const one of task.tasks) tell(one, file);
  else if (task.result?.state === "pass") told.passed[file] = (told.passed[file] ?? 0) + 1;
  if (task.result?.state === "fail" || (task.type === "test" && task.result?.state !== "pass")) {
    const why = task.result?.errors?.map(({ message, stack }) => `${message}\n${stack}`).join("\n");
    told.failed.push(`${file}: ${task.name}: ${why ?? "did not run"}`);
  }
}

const runner: VitestRunner = {
  config: {
    root: "/",
    setupFiles: [],
    name: "page",
    passWithNoTests: false,
    testNamePattern: undefined,
    allowOnly: false,
    sequence: { seed: 1, hooks: "stack", setupFiles: "list" },
    chaiConfig: undefined,
    maxConcurrency: 5,
    testTimeout: 150_000,
    hookTimeout: 150_000,
    retry: 0,
    includeTaskLocation: false,
    tags: [],
    tagsFilter: undefined,
    strictTags: false,
  } as unknown as VitestRunner["config"],
  importFile: (path) => (FILES[path] as () => Promise<unknown>)(),
};

async function run(): Promise<void> {
  await engineReady();
  const chosen = new Set(new URL(location.href).searchParams.get("files")?.split(","));
  const paths = Object.keys(FILES).filter((path) => chosen.has(nameOf(path)));
  if (paths.length !== chosen.size) throw new Error(`not all of ${[...chosen]} are here`);
  const files: File[] = await startTests(paths, runner);
  for (const file of files) tell(file, nameOf(file.filepath));
}

run()
  .catch((error: unknown) => told.failed.push(String(error)))
  .finally(() => {
    told.done = true;
  });
