/** How much gas an action lets its transaction take. */
import { type Client, createClient, custom, hexToBigInt, type Hex, numberToHex } from "viem";
import { expect, it } from "vitest";
import * as actions from "@cotrain/sdk/actions";
import { alice } from "./world.ts";

const shares = `0x${"ab".repeat(20)}` as const;

/** What is sent where nothing else is said. */
const delegating = (client: Client, gas?: bigint): Promise<Hex> =>
  actions.delegate(client, { shares, delegatee: alice.address, ...(gas !== undefined && { gas }) });

/** The limit that a node is sent which estimates so much. */
async function limitAt(estimate: bigint, send: (client: Client) => Promise<Hex> = delegating): Promise<bigint> {
  let limit: Hex = "0x0";
  const request = async ({ method, params }: { readonly method: string; readonly params?: unknown }) => {
    if (method === "eth_estimateGas") return numberToHex(estimate);
    if (method === "eth_chainId") return "0x1";
    if (method !== "eth_sendTransaction") throw new TypeError(`nobody asks for ${method} here`);
    limit = (params as [{ readonly gas: Hex }])[0].gas;
    return `0x${"11".repeat(32)}`;
  };
  const client = createClient({ account: alice.address, transport: custom({ request }) });
  await send(client);
  return hexToBigInt(limit);
}

// OpenZeppelin's checkpoints: of the newest block's second one is written over, of the next second's a new one is made.
it("leaves room for checkpoints that the block makes and the estimate wrote over", async () => {
  expect(await limitAt(100_000n)).toBe(200_000n);
  expect(await limitAt(40_000n)).toBe(125_000n);
});

it("is never more than a transaction may take, and what is named is taken as it is", async () => {
  expect(await limitAt(2n ** 24n)).toBe(2n ** 24n);
  expect(await limitAt(100_000n, (client) => delegating(client, 90_000n))).toBe(90_000n);
});

it("is what was estimated where a chain lets a transaction take more than that", async () => {
  expect(await limitAt(2n ** 24n + 1n)).toBe(2n ** 24n + 1n);
});

it("has room for the checkpoints of each call of several", async () => {
  const calls = Array.from({ length: 32 }, () =>
    actions.settleSale.call({ sale: shares, modelId: `0x${"01".repeat(32)}` }),
  );
  const send = (client: Client) => actions.batchCapital(client, { sale: shares, calls });
  expect(await limitAt(1_000_000n, send)).toBe(1_250_000n + 32n * 75_000n);
});
