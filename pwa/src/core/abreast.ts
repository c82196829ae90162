/**
 * Several cases at once: mirror of core/eigenkring/abreast.py. Each has a connection and exchanges of its own, as ever;
 * only the waiting overlaps.
 */
export const AT_ONCE = 16;

/**
 * `work` for each, begun in the order given; the answers in that order. What one throws is thrown when all are done.
 */
export async function abreast<A, B>(
  atOnce: number,
  what: readonly A[],
  work: (one: A) => Promise<B>,
): Promise<B[]> {
  const answers: Promise<B>[] = [];
  const rest = what.entries();
  const worker = async (): Promise<void> => {
    for (const [at, one] of rest) {
      const answer = work(one);
      answers[at] = answer;
      await answer.catch(() => undefined);
    }
  };
  await Promise.all(Array.from({ length: Math.min(Math.max(1, atOnce), what.length) }, worker));
  return Promise.all(answers);
}
