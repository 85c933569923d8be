/** What a start costs where coins are worth something: the estimate, the sentence, the confirmation. */
import { mkdir, readdir, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";

import { asAddress } from "@cotrain/sdk/protocol";
import * as fc from "fast-check";
import { network } from "hardhat";
import { createPublicClient, createWalletClient, custom, type Hex } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { describe, expect, onTestFinished, test } from "vitest";

import { contractFolders, type ContractName, ensureBuilt, loadArtifact } from "../../../deploy/artifacts.ts";
import { deploy, type ProfileName } from "../../../deploy/deployment.ts";
import {
  estimateCost,
  FIRST_START_GAS,
  firstStartGas,
  REGISTRATION_GAS,
  requireAffordable,
  requireCoins,
  SESSION_GAS,
  UNASKED_LIMIT,
} from "../../../offchain/src/localnet/funding.ts";
import type { OpenedChain } from "../../../offchain/src/localnet/chain.ts";
import { deployContracts } from "../../../offchain/src/localnet/contracts.ts";
import { readDeployment, readNamedDeployment } from "../../../offchain/src/run/index.ts";
import { formatAddress, formatCoins, weiOf } from "../../../offchain/src/base/index.ts";
import { understood } from "../cli/lines.ts";
import { listening } from "../../loopback.ts";
import { temporaryDirectory } from "../service/support.ts";

const address = asAddress(`0x${"a1".repeat(20)}`);
const cost = 10n ** 16n;
const payer = {
  address,
  chainId: 8_453,
  balance: 10n ** 18n,
  cost,
  gas: FIRST_START_GAS,
  named: undefined,
  started: false,
  confirmed: false,
};
const sizeOf = (hex: string): bigint => BigInt(hex.length / 2 - 1);

test("what a flag names in coins is wei, to a billionth of a coin", () => {
  expect([0.1, 0.000_001, 1_000_000, 0.123_456_789].map(weiOf)).toEqual([
    10n ** 17n,
    10n ** 12n,
    10n ** 24n,
    123_456_789n * 10n ** 9n,
  ]);
});

describe("the estimate", () => {
  test("covers the compiled contracts and the transactions of a first start, and not much more", async () => {
    await ensureBuilt();
    // Play money is made where coins are worth nothing.
    const names = (Object.keys(contractFolders) as ContractName[]).filter((name) => name !== "TestDollar");
    let gas = 0n;
    for (const { bytecode, deployedBytecode } of await Promise.all(names.map((name) => loadArtifact(name))))
      // Base fee of a creation, 200 a byte of code, up to 16 a byte of calldata and 2 a word of it.
      gas += 53_000n + 200n * sizeOf(deployedBytecode) + 16n * sizeOf(bytecode) + sizeOf(bytecode) / 16n;
    const table = new URL("../../contracts/gas.json", import.meta.url);
    const { rows } = JSON.parse(await readFile(table, "utf8")) as { rows: Record<string, number> };
    const of = (name: string): bigint => BigInt(rows[name] ?? Number.NaN);
    const registration = of("createModel, which sells shares") + of("registerRun") + of("post head, first");
    expect(REGISTRATION_GAS).toBeGreaterThan(registration);
    expect(FIRST_START_GAS - REGISTRATION_GAS).toBeGreaterThan(gas);
    const needed = gas + registration;
    expect(FIRST_START_GAS).toBeGreaterThan(needed);
    expect(FIRST_START_GAS).toBeLessThan((needed * 5n) / 4n);
    expect(SESSION_GAS).toBeGreaterThan(100n * of("post head, later") + of("post root, 5 of 7, later"));
  });

  test("is told rounded up, so that what is sent suffices", () => {
    fc.assert(
      fc.property(fc.bigInt(1n, 10n ** 24n), (wei) => {
        const told = BigInt(Math.round(Number(formatCoins(wei)) * 1e9));
        expect(told).toBeGreaterThanOrEqual(wei / 10n ** 9n);
        expect(Number(formatCoins(wei)) * 1e18).toBeLessThanOrEqual(Number(wei) * 1.002);
      }),
    );
    expect(formatCoins(27_512_345_000_000_000n)).toBe("0.02752");
    expect(estimateCost(10n ** 9n, FIRST_START_GAS)).toBe(60_000_000_000_000_000n);
  });

  test("leaves what the next start takes, wherever this one begins, and asks for nothing more where it goes on", () => {
    const price = 10n ** 9n;
    const whole = estimateCost(price, FIRST_START_GAS);
    expect(firstStartGas(FIRST_START_GAS)).toBe(FIRST_START_GAS);
    expect(firstStartGas(REGISTRATION_GAS)).toBe(REGISTRATION_GAS + SESSION_GAS);
    fc.assert(
      fc.property(fc.bigInt(REGISTRATION_GAS, FIRST_START_GAS), (left) => {
        const sum = estimateCost(price, firstStartGas(left));
        const later = { ...payer, started: true, gas: SESSION_GAS, cost: estimateCost(price, SESSION_GAS) };
        requireAffordable({ ...later, balance: sum - left * price });
        expect(sum).toBeLessThanOrEqual(whole - (FIRST_START_GAS - left) * price);
      }),
    );
  });
});

describe("before anything is sent", () => {
  test.each([
    [0n, "has no coins on chain 8453", "send at least 0.01,"],
    [4n * 10n ** 15n, "has 0.004 coins on chain 8453", "send at least 0.006,"],
    [9n * 10n ** 15n, "has 0.009 coins on chain 8453", "send at least 0.001,"],
  ])("a wallet with %i wei is told what it lacks", (balance, has, send) => {
    const pay = (): void => requireAffordable({ ...payer, balance });
    expect(pay).toThrow(`The organiser's wallet ${formatAddress(address)} ${has}`);
    expect(pay).toThrow("The first start, which deploys the contracts, costs about 0.01 at the present price of gas");
    expect(pay).toThrow(send);
    expect(pay).toThrow(/run the same command again\.$/);
    expect(pay).toThrow(expect.objectContaining({ code: "WALLET_UNFUNDED", retryable: true }));
  });

  test("above an amount --yes is asked for, and suffices", () => {
    const dear = { ...payer, cost: UNASKED_LIMIT + 1n };
    expect(() => requireAffordable(dear)).toThrow(expect.objectContaining({ code: "COST_UNCONFIRMED" }));
    expect(() => requireAffordable(dear)).toThrow("confirm with --yes to spend more than 0.1; nothing was sent.");
    requireAffordable({ ...dear, confirmed: true });
    requireAffordable({ ...payer, cost: UNASKED_LIMIT });
    requireAffordable({ ...payer, balance: payer.cost });
    expect(understood(["up", "--yes"])?.flags["yes"]).toBe(true);
  });
});

type Rpc = (method: string, params: unknown) => Promise<unknown>;

/** Of a chain on which nobody sent anything. */
const empty: Rpc = (method) => Promise.resolve({ eth_getCode: "0x", eth_getTransactionCount: "0x0" }[method]);

/** A chain with a price of gas and one balance, wei, and what starts on it say. @param rest what it says of everything else */
async function openChain(rest = empty, chainId = 8_453) {
  await ensureBuilt();
  const chain = { id: chainId, price: 10n ** 9n, balance: 0n };
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      const { id, method, params } = JSON.parse(body) as { id: number; method: string; params: unknown };
      const values: Record<string, bigint> = {
        eth_chainId: BigInt(chain.id),
        eth_gasPrice: chain.price,
        eth_getBalance: chain.balance,
      };
      const value = values[method];
      const said = value === undefined ? rest(method, params) : Promise.resolve(`0x${value.toString(16)}`);
      response.writeHead(200, { "content-type": "application/json" });
      said.then(
        (result) => response.end(JSON.stringify({ jsonrpc: "2.0", id, result })),
        response.destroy.bind(response),
      );
    });
  });
  const url = await listening(server);
  onTestFinished(() => void server.close());
  const state = await temporaryDirectory();
  await mkdir(join(state, "keys"));
  /** @returns what it says that is lacking, undefined where it goes on */
  const start = (
    wallet = address,
    started = false,
    compile = ensureBuilt,
    confirmed = true,
  ): Promise<string | undefined> =>
    requireCoins({ url, chainId: chain.id }, wallet, { state, started, confirmed, compile }).then(
      () => undefined,
      (error: Error) => error.message,
    );
  return { chain, url, state, start, kept: () => readdir(join(state, "keys")) };
}

const asked = (sum: string) => new RegExp(`: send at least ${sum.replace(".", "\\.")}, then run`);

// foundation 11
describe("the sum that was named once", () => {
  test("is the same whatever gas costs at the next start, and enough where that is at most a quarter more", async () => {
    const { chain, start, kept } = await openChain();
    const named = await start();
    expect(named).toMatch(asked("0.06"));
    for (const price of [5n * 10n ** 8n, 12n * 10n ** 8n, 10n ** 9n]) {
      chain.price = price;
      expect(await start()).toMatch(asked("0.06"));
    }
    chain.price = 5n * 10n ** 8n;
    expect(await start()).toContain("costs about 0.06, as was said before: send");
    chain.price = (10n ** 9n * 5n) / 4n;
    chain.balance = 6_000n * 10n ** 13n;
    expect(await start()).toBeUndefined();
    // Once it was there, what the next start takes is counted anew.
    expect(await kept()).toEqual([]);
    chain.balance = 0n;
    expect(await start()).toMatch(asked("0.075"));
  });

  test("is the missing rest where gas costs more by now, with the reason, and then stays the same again", async () => {
    const { chain, start } = await openChain();
    await start();
    Object.assign(chain, { price: 2n * 10n ** 9n, balance: 6_000n * 10n ** 13n });
    expect(await start()).toContain(
      "costs about 0.12 at the present price of gas, which has risen since 0.06 was named: send at least the missing 0.06, then",
    );
    chain.price += 10n ** 8n;
    expect(await start()).toMatch(asked("0.06"));
    chain.balance *= 2n;
    expect(await start()).toBeUndefined();
  });

  test("need not be there as a whole where gas costs less by now", async () => {
    const { chain, start } = await openChain();
    await start();
    Object.assign(chain, { price: 4n * 10n ** 8n, balance: 240n * 10n ** 14n });
    expect(await start()).toBeUndefined();
  });

  test("that one answer has named is asked for as long as that answer comes, and not after it", async () => {
    const { chain, start } = await openChain();
    await start();
    chain.price = 10n ** 15n;
    expect(await start()).toContain("which has risen since 0.06 was named: send at least the missing 60000, then");
    expect(await start()).toContain("costs about 60000 at the present price of gas: send at least 60000, then");
    chain.price = 11n * 10n ** 8n;
    expect(await start()).toContain(
      "costs about 0.066 at the present price of gas, which has fallen since 60000 was named: send at least 0.066, then",
    );
    // From then on that is the sum.
    chain.price = 9n * 10n ** 8n;
    expect(await start()).toContain("costs about 0.066, as was said before: send at least 0.066, then");
  });

  test("settles at the highest where the price of gas goes up and down fourfold", async () => {
    const { chain, start } = await openChain();
    await start();
    chain.price = 4n * 10n ** 9n;
    expect(await start()).toContain("which has risen since 0.06 was named: send at least the missing 0.24, then");
    for (const price of [10n ** 9n, 4n * 10n ** 9n, 2n * 10n ** 9n, 10n ** 9n]) {
      chain.price = price;
      expect(await start()).toMatch(asked("0.24"));
    }
    chain.price = 10n ** 9n - 1n;
    expect(await start()).toContain("which has fallen since 0.24 was named: send at least 0.06, then");
  });

  test("is of no price that a chain cannot have", async () => {
    const { chain, start, kept } = await openChain();
    chain.price = 2n ** 256n - 1n;
    expect(await start()).toContain("answered eth_gasPrice with what is no answer to it: it is asked again");
    expect(await kept()).toEqual([]);
    chain.price = 2n ** 128n;
    expect(await start()).toContain("at the present price of gas: send at least");
    chain.price = 10n ** 9n;
    expect(await start()).toMatch(asked("0.06"));
  });

  test("is of one chain", async () => {
    const { chain, start } = await openChain();
    await start();
    Object.assign(chain, { id: 10, price: 10n ** 9n - 1n });
    // The first chain's would be asked for as it was said before.
    expect(await start()).toContain("at the present price of gas: send at least 0.06, then");
  });

  test("is eight times as much on a development chain, for the wallets that claim and vote, and nobody has to confirm it", async () => {
    const { chain, start } = await openChain(empty, 1_337);
    expect(await start(address, false, ensureBuilt, false)).toMatch(asked("0.48"));
    const said: (string | undefined)[] = [];
    for (const id of [1_337, 8_453]) {
      Object.assign(chain, { id, balance: 10n ** 24n, price: 10n ** 12n });
      said.push(await start(address, false, ensureBuilt, false));
    }
    expect(said).toEqual([undefined, expect.stringContaining("--yes")]);
  });

  test("is of one wallet, and of a first start or of a session", async () => {
    const { chain, start } = await openChain();
    await start();
    chain.price = 10n ** 9n - 1n;
    expect(await start(asAddress(`0x${"b2".repeat(20)}`))).toContain("at the present price of gas: send");
    await start();
    expect(await start(address, true)).toMatch(asked("0.00625"));
  });
});

/** Hardhat's first account. */
const account = privateKeyToAccount("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");

/** A chain on which this account deploys, and is killed after some transactions. */
async function openDeploying(chainId = 8_453, profile: ProfileName = "public") {
  const { provider } = await network.create({ override: { chainId } });
  const opened = await openChain((method, params) => provider.request({ method, params: params as [] }), chainId);
  const transport = custom({ request: (call) => provider.request(call) });
  const wallet = createWalletClient({ account, transport });
  const publicClient = createPublicClient({ transport, pollingInterval: 10 });
  const recordPath = join(await temporaryDirectory(), "deployment.json");
  const deployUntil = async (most: number): Promise<void> => {
    let left = most;
    const sendTransaction = (...args: Parameters<typeof wallet.sendTransaction>): Promise<Hex> =>
      left-- > 0 ? wallet.sendTransaction(...args) : Promise.reject(new TypeError("killed"));
    const walletClient = { ...wallet, sendTransaction } as typeof wallet;
    await deploy({ publicClient, walletClient, profile, recordPath }).catch((error: Error) => {
      if (error.message !== "killed") throw error;
    });
  };
  const startAgain = (started = false, compile = ensureBuilt) =>
    opened.start(asAddress(account.address), started, compile);
  return { ...opened, deployUntil, startAgain };
}

const unbuilt = (): Promise<never> => Promise.reject(new Error("not compiled"));

// foundation 11
describe("a first start that stopped halfway", () => {
  test("asks for nothing more once its contracts are there, also where the state is a fresh one", async () => {
    const { chain, kept, deployUntil, startAgain } = await openDeploying();
    expect(await startAgain()).toMatch(asked("0.06"));
    chain.balance = 6_000n * 10n ** 13n;
    expect(await startAgain()).toBeUndefined();
    await deployUntil(Infinity);
    chain.balance = 125n * 10n ** 14n;
    expect(await startAgain()).toBeUndefined();
    expect(await kept()).toEqual([]);
    chain.balance = 0n;
    expect(await startAgain()).toContain(
      "What the first start has yet to do, with a session of a hundred checkpoints, costs about 0.009088 at the present price of gas: send at least 0.009088,",
    );
  });

  test("knows the contracts of a development chain by their own limits", async () => {
    const { deployUntil, startAgain } = await openDeploying(1_337, "local");
    await deployUntil(Infinity);
    expect(await startAgain()).toMatch(asked("0.0727"));
  });

  test("asks for a session too where its contracts are there, so that the next start asks for nothing", async () => {
    const { chain, deployUntil, startAgain } = await openDeploying();
    await deployUntil(Infinity);
    expect(await startAgain()).toMatch(asked("0.009088"));
    chain.balance = weiOf(0.009088);
    expect(await startAgain()).toBeUndefined();
    chain.balance -= REGISTRATION_GAS * chain.price;
    expect(await startAgain(true)).toBeUndefined();
  });

  test("counts what is there by compiled contracts; who has sent nothing is told without them", async () => {
    const { deployUntil, startAgain } = await openDeploying();
    expect(await startAgain(false, unbuilt)).toMatch(asked("0.06"));
    await deployUntil(Infinity);
    expect(await startAgain(false, unbuilt)).toBe("not compiled");
    expect(await startAgain()).toMatch(asked("0.009088"));
  });

  test("asks for what the contracts cost that are missing", async () => {
    const { chain, deployUntil, startAgain } = await openDeploying();
    await startAgain();
    await deployUntil(9);
    const sentence = (await startAgain())!;
    // What was named for all of it does not count any more.
    expect(sentence).toContain(
      "What the first start has yet to do, with a session of a hundred checkpoints, costs about",
    );
    const sum = Number(/costs about ([0-9.]+)/.exec(sentence)![1]);
    expect(sum).toBeGreaterThan(0.005);
    expect(sum).toBeLessThan(0.041);
    chain.balance = weiOf(sum);
    expect(await startAgain()).toBeUndefined();
    await deployUntil(Infinity);
    chain.balance = 0n;
    expect(await startAgain()).toMatch(asked("0.009088"));
  });
});

// foundation, what people see
test("a record of a deployment that is a new file beside the sources is announced, once, and has what members pin", async () => {
  const { chain, url, state } = await openDeploying();
  chain.balance = 10n ** 20n;
  const [deployments, told] = [await temporaryDirectory(), [] as string[]];
  const opened = { url, chainId: chain.id, local: false, wallets: { organiser: account } } as unknown as OpenedChain;
  const say = (lines: readonly string[]): void => void told.push(...lines);
  const { pins, addresses } = await deployContracts({ state, chain: opened, embedded: false, deployments, say });
  const record = join(deployments, "8453.json");
  const due = [`The deployment is recorded in ${record}, a new file: keep it with the sources.`];
  expect(told).toEqual(due);
  await deployContracts({ state, chain: opened, embedded: false, deployments, say });
  expect(told).toEqual(due);
  expect(await readNamedDeployment(record)).toMatchObject({ addresses, ...pins });
  expect(await readDeployment(state)).toMatchObject({ addresses, ...pins });
});
