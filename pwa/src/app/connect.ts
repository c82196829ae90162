import { type Engine, Failure } from "./engine";

/** Gives the engine that runs in the worker. A placeholder until the worker is here. */
export async function connect(): Promise<Engine> {
  throw new Failure("not_yet", "the engine is not here yet");
}
