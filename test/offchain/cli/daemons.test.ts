/**
 * What the options of the three daemons do: the command runs up to the daemon itself, whose place a stand-in takes and shows
 * what it was given. The daemons themselves, as processes, are in test/e2e.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { asAddress, asRunId, domainFor, passText, signPass } from "@cotrain/sdk/protocol";
import { privateKeyToAccount } from "viem/accounts";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";

import { anyPins } from "../anyPins.ts";

import { commands, understood } from "./lines.ts";
import { createOutput } from "../../../offchain/src/cli/output.ts";
import { openWallet } from "../../../offchain/src/run/wallets.ts";
import {
  type DaemonOptions,
  ensureKeystore,
  openStateDirectory,
  resolveConfig,
  SCRYPT_N_LOCAL,
} from "../../../offchain/src/service/index.ts";
import { root, temporaryDirectory } from "./support.ts";

const given = vi.hoisted(() => ({
  daemon: undefined as unknown,
  level: "",
  readers: [] as unknown[],
  kept: [] as boolean[],
}));

vi.mock("../../../offchain/src/worker/node/index.ts", () => ({
  workerDaemon: (options: unknown) => void (given.daemon = options),
}));
vi.mock("../../../offchain/src/validator/index.ts", () => ({
  validatorDaemon: (options: unknown) => void (given.daemon = options),
}));
vi.mock("../../../offchain/src/coordinator/index.ts", () => ({
  startCoordinator: (options: unknown) => {
    given.daemon = options;
    return { port: 1, failed: Promise.resolve(), stop: () => undefined };
  },
}));
vi.mock("../../../offchain/src/chain/index.ts", async (original) => ({
  ...(await original<object>()),
  openReader: (options: unknown) => {
    given.readers.push(options);
    return { reader: options };
  },
}));
// No chain is there to be asked whether the run was followed by another: runNext.test.ts has one.
vi.mock("../../../offchain/src/run/index.ts", async (original) => ({
  ...(await original<object>()),
  takeUpNextRun: async (run: object) => ({
    run,
    said: undefined,
    keep: async () => void given.kept.push(given.daemon !== undefined),
  }),
}));
vi.mock("../../../offchain/src/service/index.ts", async (original) => ({
  ...(await original<object>()),
  runDaemon: async (main: (context: object) => Promise<number | void>, options: DaemonOptions) => {
    given.level = options.logger.level;
    const ends: (() => unknown)[] = [];
    const onShutdown = (_: string, work: () => unknown): void => void ends.push(work);
    try {
      await main({ signal: AbortSignal.abort(), logger: options.logger, ready: () => undefined, onShutdown });
    } finally {
      for (const end of ends.toReversed()) await end();
    }
  },
}));

const runId = `0x${"11".repeat(32)}`;
const otherRun = `0x${"22".repeat(32)}`;
const modelId = `0x${"33".repeat(32)}`;
const contract = (digit: string): string => `0x${digit.repeat(40)}`;
const contracts = {
  modelRegistry: contract("1"),
  runRegistry: contract("2"),
  checkpointRegistry: contract("3"),
  validatorSet: contract("4"),
  emission: contract("5"),
  computeRewards: contract("6"),
};
const rpc = "http://127.0.0.1:8999";
const coordinator = "http://127.0.0.1:7999";

let state: string;
let wallet: string;
let passphrase: string;
let own: string;
const cleanups: (() => void)[] = [];

beforeAll(async () => {
  state = join(
    temporaryDirectory((work) => cleanups.push(work)),
    "state",
  );
  (await openStateDirectory(state, { create: true })).close();
  mkdirSync(join(state, "keys"));
  for (const role of ["poster", "worker-1", "validator-1"])
    await ensureKeystore({
      keystore: join(state, "keys", `${role}.json`),
      passphrase: join(state, "keys", "passphrase"),
      scryptN: SCRYPT_N_LOCAL,
    });
  wallet = join(state, "own.json");
  passphrase = join(state, "own-passphrase");
  own = (await ensureKeystore({ keystore: wallet, passphrase, scryptN: SCRYPT_N_LOCAL })).address;
  writeFileSync(join(state, "keys", "operator-token"), `${"o".repeat(32)}\n`);
  writeFileSync(
    join(state, "run.json"),
    JSON.stringify({
      version: 1,
      startedAt: "2026-11-24T00:00:00.000Z",
      chain: { chainId: 31_337, rpcUrl: "http://127.0.0.1:8545", embedded: true },
      ports: {},
      urls: {},
      modelId,
      runId,
      settings: { build: `0x${"44".repeat(32)}` },
    }),
  );
  writeFileSync(
    join(state, "deployment.json"),
    JSON.stringify({ chainId: 31_337, profile: "local", addresses: contracts, ...anyPins, blocks: { runRegistry: 7 } }),
  );
});
afterAll(() => {
  for (const work of cleanups) work();
});

beforeEach(() => {
  given.daemon = undefined;
  given.readers = [];
  given.kept = [];
});

// A coordinator with one run that trains, and one that is finished.
vi.mock("../../../sdk/src/protocol/client.ts", () => ({
  createCoordinatorClient: (url: string) => ({
    url,
    runs: async () => ({
      runs: [
        { runId, phase: "Training" },
        { runId: otherRun, phase: "Finished" },
      ],
    }),
    run: async (id: string) => view(id),
  }),
}));

const deployment = { profile: "local", blocks: {} };
const view = (id: string) => ({ runId: id, modelId, chainId: 31_337, contracts, rpcUrl: null, deployment });

/** What the daemon is given for this command line. */
async function daemonOf(...argv: string[]): Promise<unknown> {
  const line = understood(argv);
  if (!line) throw new TypeError("no command");
  const config = resolveConfig(line.command.options, { flags: line.flags, environment: {} });
  await line.command.run({ options: config.values, config, args: line.args, output: createOutput(false) });
  return given.daemon;
}

/** The directory that a role has in the tree. */
const of = (role: string) => expect.objectContaining({ path: join(state, role) });
const withAddress = (address: string) => expect.objectContaining({ address });

const worker = (...flags: string[]): Promise<unknown> =>
  daemonOf("worker", "--state", state, "--role", "worker-1", ...flags);
const validator = (...flags: string[]): Promise<unknown> =>
  daemonOf("validator", "--state", state, "--role", "validator-1", ...flags);
const serve = (...flags: string[]): Promise<unknown> => daemonOf("coordinator", "--state", state, ...flags);

describe("worker", () => {
  test("--coordinator, --run, --state, --device, --threads, --beneficiary reach it", async () => {
    const beneficiary = contract("b");
    expect([await worker("--device", "cuda:1, cpu"), await worker("--device", "auto"), await worker()]).toMatchObject([
      { device: ["cuda:1", "cpu"] },
      { device: ["auto"] },
      { device: ["cpu"] },
    ]);
    await expect(worker("--device", "gpu")).rejects.toThrow(
      "--device must be one of auto, cpu, wasm, webgpu, cuda, cuda with an index",
    );
    expect(
      await worker("--coordinator", coordinator, "--run", otherRun, "--threads", "3", "--beneficiary", beneficiary),
    ).toMatchObject({
      coordinator,
      runId: otherRun,
      directory: of("worker-1"),
      role: "worker-1",
      threads: 3,
      beneficiary,
    });
    expect(await worker()).toMatchObject({ coordinator: "http://127.0.0.1:7700", runId: undefined, chain: undefined });
  });

  test("--claim and --no-claim: what the coordinator is asked, by itself nothing", async () => {
    expect([await worker("--claim"), await worker("--no-claim"), await worker()]).toMatchObject([
      { claim: true },
      { claim: false },
      { claim: undefined },
    ]);
  });

  test("--pass: a rented machine's, which names who is paid", async () => {
    const file = join(temporaryDirectory(), "pass");
    const beneficiary = asAddress(contract("b"));
    const terms = { runId: asRunId(otherRun), label: "ct", index: 0, beneficiary, notAfter: 1 };
    const domain = domainFor(31_337, asAddress(contracts.runRegistry));
    const pass = await signPass(privateKeyToAccount(`0x${"5e".repeat(32)}`), domain, terms);
    writeFileSync(file, `${passText(pass)}\n`);
    expect(await worker(`--pass=${file}`)).toMatchObject({ pass });
    expect(await worker()).toMatchObject({ pass: undefined });
    await expect(worker(`--pass=${file}`, "--beneficiary", beneficiary)).rejects.toThrow("leave --beneficiary out");
    writeFileSync(file, "no pass");
    await expect(worker(`--pass=${file}`)).rejects.toThrow("What is shown as a pass is none.");
  });

  test("--rpc: the run's record is checked on this chain", async () => {
    expect(await worker("--coordinator", coordinator, "--rpc", rpc, "--run", otherRun)).toMatchObject({
      chain: { reader: { rpcUrl: rpc, chainId: 31_337, contracts } },
    });
  });

  test("--deployment: the record is checked in the contracts that it names, and none other", async () => {
    const file = join(state, "deployment.json");
    const pinned = ["--coordinator", coordinator, "--rpc", rpc, "--deployment"];
    expect(await worker(...pinned, file)).toMatchObject({
      chain: { reader: { rpcUrl: rpc, chainId: 31_337, contracts, fromBlock: 7 } },
    });
    const other = join(temporaryDirectory(), "other.json");
    const addresses = { ...contracts, checkpointRegistry: contract("9") };
    writeFileSync(other, JSON.stringify({ chainId: 31_337, profile: "local", addresses, ...anyPins, blocks: {} }));
    await expect(worker(...pinned, other)).rejects.toMatchObject({
      code: "DEPLOYMENT_MISMATCH",
      message: `The coordinator at ${coordinator} names the checkpointRegistry ${contract("3")}, but ${other} has ${contract("9")}: it serves another deployment, or it lies.`,
    });
    await expect(worker(...pinned, "/no/deployment.json")).rejects.toThrow("/no/deployment.json does not exist");
    await expect(worker("--deployment", file)).rejects.toMatchObject({ code: "RPC_MISSING" });
  });

  test("--role takes the wallet of that name, --wallet and --passphrase-file another, neither makes one", async () => {
    const { address } = await openWallet(state, "worker-1");
    expect(await worker()).toMatchObject({ account: withAddress(address) });
    expect(
      await daemonOf("worker", "--state", temporaryDirectory(), "--wallet", wallet, "--passphrase-file", passphrase),
    ).toMatchObject({ account: withAddress(own), role: undefined });
    const fresh = join(temporaryDirectory(), "worker");
    const first = await daemonOf("worker", "--state", fresh);
    expect(await daemonOf("worker", "--state", fresh)).toMatchObject({
      account: withAddress((first as { account: { address: string } }).account.address),
    });
    await expect(daemonOf("worker", "--state", fresh, "--wallet", wallet)).rejects.toMatchObject({
      code: "WALLET_INCOMPLETE",
    });
  });

  test.each([["worker"], ["validator", "--rpc", rpc]])(
    "a directory with a run is not taken by a %s of another",
    async (...argv) => {
      const begun = daemonOf(...argv, "--state", state, "--wallet", wallet, "--passphrase-file", passphrase);
      await expect(begun).rejects.toMatchObject({ code: "STATE_OF_RUN" });
      expect(existsSync(join(state, "wallet.json"))).toBe(false);
    },
  );

  test("--log-level", async () => {
    await worker("--log-level", "debug");
    expect(given.level).toBe("debug");
  });

  test("an id or address that is none is refused", async () => {
    await expect(worker("--run", "latest")).rejects.toThrow(/latest/);
    await expect(worker("--beneficiary", "me")).rejects.toThrow(/me/);
    await expect(worker("--coordinator", "train.example.org")).rejects.toThrow(/--coordinator must be a URL/);
  });
});

describe("validator", () => {
  test("--role works for the run of that state, on its chain or on that of --rpc", async () => {
    const { address } = await openWallet(state, "validator-1");
    expect(await validator("--coordinator", coordinator)).toMatchObject({
      coordinator,
      directory: of("validator-1"),
      runId,
      account: withAddress(address),
      rpcUrl: "http://127.0.0.1:8545",
      contracts,
      fromBlock: 7,
      loss: true,
    });
    expect(await validator("--rpc", rpc, "--run", otherRun)).toMatchObject({ rpcUrl: rpc, runId: otherRun });
  });

  test("--first says that a key has never signed; of one that is made here that is known", async () => {
    const elsewhere = join(temporaryDirectory(), "validator");
    const named = ["--state", elsewhere, "--wallet", wallet, "--passphrase-file", passphrase, "--rpc", rpc];
    expect(await daemonOf("validator", ...named)).toMatchObject({ wallet, first: false });
    expect(await daemonOf("validator", ...named, "--first")).toMatchObject({ wallet, first: true });
    const ofUp = { directory: of("validator-1"), wallet: join(state, "keys", "validator-1.json"), first: false };
    expect(await validator()).toMatchObject(ofUp);
    const fresh = ["validator", "--state", join(temporaryDirectory(), "fresh"), "--rpc", rpc];
    expect(await daemonOf(...fresh)).toMatchObject({ wallet: join(fresh[2]!, "wallet.json"), first: true });
    expect(await daemonOf(...fresh)).toMatchObject({ first: false });
  });

  test("--no-loss leaves measuring to others", async () => {
    expect(await validator("--no-loss")).toMatchObject({ loss: false });
  });

  test("--log-level", async () => {
    await validator("--log-level", "warn");
    expect(given.level).toBe("warn");
  });

  test("elsewhere it needs --rpc, and takes --run, --wallet and --passphrase-file", async () => {
    const elsewhere = join(temporaryDirectory(), "validator");
    const flags = ["--state", elsewhere, "--wallet", wallet, "--passphrase-file", passphrase];
    await expect(daemonOf("validator", ...flags)).rejects.toMatchObject({ code: "RPC_MISSING" });
    expect(await daemonOf("validator", ...flags, "--rpc", rpc, "--run", otherRun)).toMatchObject({
      runId: otherRun,
      rpcUrl: rpc,
      account: withAddress(own),
      contracts,
    });
    expect(await daemonOf("validator", ...flags, "--rpc", rpc)).toMatchObject({ runId, fromBlock: 0 });
    const deployment = ["--deployment", join(state, "deployment.json")];
    expect(await daemonOf("validator", ...flags, "--rpc", rpc, ...deployment)).toMatchObject({ runId, fromBlock: 7 });
    await expect(daemonOf("validator", "--state", elsewhere, "--rpc", rpc, "--wallet", wallet)).rejects.toMatchObject({
      code: "WALLET_INCOMPLETE",
    });
  });

  test("makes no wallet for what cannot begin, and what it makes is no part of the repository", async () => {
    const elsewhere = join(temporaryDirectory(), "validator");
    await expect(daemonOf("validator", "--state", elsewhere)).rejects.toMatchObject({ code: "RPC_MISSING" });
    expect(existsSync(elsewhere)).toBe(false);
    const wallets = commands.filter(({ name }) => ["up", "worker", "validator"].includes(name));
    const ignored = readFileSync(join(root, ".gitignore"), "utf8").split("\n");
    for (const { options } of wallets) expect(ignored).toContain(`${String(options["state"]?.default)}/`);
  });
});

describe("coordinator", () => {
  test("goes on with the run of --state, on its chain, with its poster and operator's token", async () => {
    const { address } = await openWallet(state, "poster");
    expect(await serve()).toMatchObject({
      runs: [{ runId }],
      operatorToken: "o".repeat(32),
      poster: withAddress(address),
      chain: { rpcUrl: "http://127.0.0.1:8545", chainId: 31_337, contracts, fromBlock: 7 },
      http: { host: "127.0.0.1", port: 7_700, explicitPort: false, behindProxy: undefined, tls: undefined },
    });
  });

  test("what is gone on with is kept once the coordinator has opened it", async () => {
    await serve();
    expect(given.kept).toEqual([true]);
  });

  test("--run, --rpc, --host, --port, --behind-proxy", async () => {
    expect(
      await serve("--run", otherRun, "--rpc", rpc, "--host", "0.0.0.0", "--port", "7123", "--behind-proxy", "10.0.0.1"),
    ).toMatchObject({
      // What this directory trained before, beside it.
      runs: [{ runId: otherRun }, { runId, earlier: true }],
      chain: { rpcUrl: rpc },
      http: { host: "0.0.0.0", port: 7_123, explicitPort: true, behindProxy: "10.0.0.1" },
    });
  });

  test("--renters: whose rented machines may join, by themselves the poster's and the organiser's", async () => {
    const { address } = await openWallet(state, "poster");
    expect(await serve()).toMatchObject({ runs: [{ renters: [asAddress(address)] }] });
    const renters = [contract("b"), contract("c")];
    expect(await serve("--renters", renters.join())).toMatchObject({ runs: [{ renters }] });
    await expect(serve("--renters", "me")).rejects.toThrow("--renters must be");
  });

  test("--claim-from: shares from which on the poster claims for who asked, by itself for nobody", async () => {
    expect(await serve()).toMatchObject({ claimFrom: undefined });
    expect(await serve("--claim-from", "2.5")).toMatchObject({ claimFrom: 25n * 10n ** 17n });
    await expect(serve("--claim-from", "0")).rejects.toThrow("--claim-from must be");
  });

  test("--claim-revenue-from: tokens of revenue from which on it claims that, by itself for nobody", async () => {
    expect(await serve()).toMatchObject({ claimRevenueFrom: undefined });
    expect(await serve("--claim-revenue-from", "2.5")).toMatchObject({ claimRevenueFrom: 2.5 });
    await expect(serve("--claim-revenue-from", "0")).rejects.toThrow("--claim-revenue-from must be");
  });

  test("--wallet and --passphrase-file", async () => {
    expect(await serve("--wallet", wallet, "--passphrase-file", passphrase)).toMatchObject({
      poster: withAddress(own),
    });
    await expect(serve("--wallet", wallet)).rejects.toMatchObject({ code: "WALLET_INCOMPLETE" });
  });

  test("--tls-cert and --tls-key", async () => {
    await expect(serve("--tls-cert", wallet)).rejects.toThrow("--tls-cert and --tls-key");
    await expect(serve("--tls-cert", "/no/cert.pem", "--tls-key", "/no/key.pem")).rejects.toThrow("/no/");
  });

  test("--loopback-port", async () => {
    expect(await serve("--loopback-port", "7999")).toMatchObject({ http: { loopbackPort: 7_999 } });
  });

  test("--operator-token-file", async () => {
    const file = join(temporaryDirectory(), "token");
    writeFileSync(file, "t".repeat(40));
    expect(await serve("--operator-token-file", file)).toMatchObject({ operatorToken: "t".repeat(40) });
    writeFileSync(file, "short");
    await expect(serve("--operator-token-file", file)).rejects.toThrow(`${file} must have 32 characters`);
    await expect(serve("--operator-token-file", "/no/token")).rejects.toThrow("/no/token does not exist.");
  });

  test("--log-level", async () => {
    await serve("--log-level", "error");
    expect(given.level).toBe("error");
  });
});
