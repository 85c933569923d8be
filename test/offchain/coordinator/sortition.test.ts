/** A validator's verdict about an aggregate is about the fragment that it drew, by the blocks as they are now. */
import { CotrainError } from "@cotrain/sdk/errors";
import { type Digest, digestOfJson, drawnFragment, sortitionSeed } from "@cotrain/sdk/protocol";
import { afterEach, expect, it } from "vitest";

import { type Harness, lower, openPair, runId, until, validators, verdictOf } from "./harness.ts";

let harness: Harness;
afterEach(() => harness.close());

/** Two workers, and the newest head once the checkpoint of their first round is anchored. */
async function anchored() {
  const pair = await openPair();
  ({ harness } = pair);
  for (const worker of pair.workers) await worker.train();
  const head = () => harness.run.driver.state.heads.at(-1)!;
  await until(() => head().round === 1 && head().anchor !== null, "the anchored checkpoint");
  return { workers: pair.workers, head };
}

// foundation 15
it("a verdict about another fragment than sortition gave its validator is refused, also when the chain went back", async () => {
  const { head } = await anchored();
  const submit = async (index: number): Promise<string> => {
    const signed = await verdictOf(harness, validators[0]!, { kind: 3, index, value: 0n });
    try {
      await harness.client.submitVerdict(runId, signed);
      return "accepted";
    } catch (error) {
      if (!(error instanceof CotrainError)) throw error;
      return `${error.code}${error.retryable ? ", later" : ""}`;
    }
  };
  const sortition = (hash: Digest) => drawnFragment(sortitionSeed(hash, head().head, lower(validators[0]!.address)), 4);
  const drawn = sortition(digestOfJson(harness.chain.heads.at(-1)!.block + 2));
  for (const index of [0, 1, 2, 3].filter((each) => each !== drawn)) expect(await submit(index)).toBe("NOT_DRAWN");

  // The block that decides is still to come.
  const blockHash = harness.chain.blockHash.bind(harness.chain);
  Object.assign(harness.chain, { blockHash: async () => undefined });
  expect(await submit(drawn)).toBe("SORTITION_PENDING, later");
  // The chain went back: another block decides.
  let other = digestOfJson("other");
  while (sortition(other) === drawn) other = digestOfJson(other);
  Object.assign(harness.chain, { blockHash: async () => other });
  expect(await submit(drawn)).toBe("NOT_DRAWN");
  expect(harness.run.driver.state.verdictsAccepted).toBe(0);
  Object.assign(harness.chain, { blockHash });
  expect(await submit(drawn)).toBe("accepted");
});

it("a verdict of a kind that nobody can judge yet is refused, also about a worker that has a receipt", async () => {
  const { workers, head } = await anchored();
  expect(head().workers).toContain(workers[0].address);
  for (const kind of [1, 2]) {
    const fields = { kind, worker: workers[0].address, index: 0, value: 0n };
    const signed = await verdictOf(harness, validators[0]!, fields);
    await expect(harness.client.submitVerdict(runId, signed)).rejects.toMatchObject({ code: "WRONG_VERDICT" });
  }
  expect(harness.run.driver.state.verdictsAccepted).toBe(0);
});

it("a confirmation is taken of what another of the set drew, and of nothing else", async () => {
  const { workers, head } = await anchored();
  const [mine, other] = [lower(validators[0]!.address), lower(validators[1]!.address)];
  const sortition = (who: typeof mine) =>
    drawnFragment(sortitionSeed(digestOfJson(harness.chain.heads.at(-1)!.block + 2), head().head, who), 4);
  const submit = async (worker: typeof mine, index: number, value = 0n): Promise<string> => {
    const signed = await verdictOf(harness, validators[0]!, { kind: 5, worker, index, value });
    try {
      await harness.client.submitVerdict(runId, signed);
      return "accepted";
    } catch (error) {
      if (!(error instanceof CotrainError)) throw error;
      return error.code;
    }
  };
  expect(await submit(mine, sortition(mine))).toBe("WRONG_VERDICT");
  expect(await submit(lower(workers[0].account.address), 0)).toBe("WRONG_VERDICT");
  expect(await submit(other, sortition(other), 10_000n)).toBe("WRONG_VERDICT");
  expect(await submit(other, (sortition(other) + 1) % 4)).toBe("NOT_DRAWN");
  expect(await submit(other, sortition(other))).toBe("accepted");
});
