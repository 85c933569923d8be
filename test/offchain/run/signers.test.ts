/** Sets of signers as a node tells them, which may lie. */
import { afterEach, expect, test, vi } from "vitest";

import { signersOf, type SignersPlace } from "../../../offchain/src/run/signers.ts";

const { stand, setOf } = vi.hoisted(() => {
  const stand = { inForce: 2, newest: 2, asked: 0 };
  const setOf = async (_client: unknown, { version }: { readonly version: number }) => {
    stand.asked += 1;
    return { validators: [`0x${"a1".repeat(20)}`], threshold: 1, effectiveAt: version };
  };
  return { stand, setOf };
});
vi.mock("@cotrain/sdk/actions", async (original) => ({
  ...(await original<object>()),
  currentSetVersion: async () => stand.inForce,
  newestSetVersion: async () => stand.newest,
  setOf,
  currentMaintainers: async () => stand.inForce,
  newestMaintainers: async () => stand.newest,
  maintainersOf: async (client: unknown, args: { readonly version: number }) => {
    const { validators: maintainers, ...rest } = await setOf(client, args);
    return { maintainers, ...rest };
  },
}));
afterEach(() => {
  Object.assign(stand, { inForce: 2, newest: 2, asked: 0 });
});

const place = { connection: { call: (work: (client: object) => unknown) => work({}) } } as unknown as SignersPlace;

test.each(["validators", "maintainers"] as const)("%s to come are read up to 64 sets", async (role) => {
  stand.newest = 66;
  const { inForce, coming } = await signersOf(place, role);
  expect([inForce?.version, coming.length, coming.at(-1)?.version]).toEqual([2, 64, 66]);
});

test.each(["validators", "maintainers"] as const)("%s of a node that tells of millions are not read", async (role) => {
  stand.newest = 67;
  await expect(signersOf(place, role)).rejects.toMatchObject({
    code: "SIGNERS_BEYOND",
    message: `The node says that 65 sets of ${role} are to come, and 64 at most are read: ask another node.`,
  });
  expect(stand.asked).toBe(0);
});
