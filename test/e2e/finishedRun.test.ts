/**
 * A small run made once by `cotrain up`, on a user's own text and with a worker that joins with a wallet of its own; then
 * every command on what it left: the state at rest, copies of it, damaged copies.
 */
import { type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { basename, dirname, join } from "node:path";

import {
  asDigest,
  asRunId,
  CheckpointManifest,
  createCoordinatorClient,
  type Digest,
  parseDocument,
  type RunView,
} from "@cotrain/sdk/protocol";
import { Value } from "typebox/value";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { createRandom } from "../../offchain/src/base/index.ts";
import { openLocalRun, withChain } from "../../offchain/src/run/index.ts";
import { Summary } from "../../offchain/src/cli/up/summary.ts";
import { ensureKeystore, findPort, readRunFile, SCRYPT_N_LOCAL } from "../../offchain/src/service/index.ts";
import { openBlobStore } from "../../offchain/src/storage/node/index.ts";
import {
  contentOf,
  cotrain,
  cotrainHere,
  type Ended,
  refusal,
  root,
  temporaryDirectory,
  verdictOf,
} from "../offchain/cli/support.ts";
import { processesMarked } from "./processes.ts";

const cleanups: (() => unknown)[] = [];
const directory = temporaryDirectory((work) => cleanups.push(work));
const state = join(directory, "state");
const book = join(directory, "book.txt");
const wallet = join(directory, "me.json");
const passphrase = join(directory, "passphrase");
/** In the environment of every process of this file, so that none is overlooked. */
const mark = randomUUID();
const environment = { FINISHED_RUN_TEST: mark };

let first: Ended;
let summary: Summary;
let me: string;
let joined: Ended;
/** The run as its coordinator shows it while it trains. */
let announced: RunView;
/** The state as `up` left it, before anything here claims. */
const unclaimed = join(directory, "unclaimed");

/** 150 KB of sentences that a small model can learn something from. */
function writeBook(): void {
  const random = createRandom("book");
  const pick = (words: readonly string[]): string => words[random.below(words.length)] ?? "";
  const sentence = (): string =>
    `The ${pick(["old", "young", "quiet", "tired"])} ${pick(["miller", "sailor", "teacher", "farmer"])} ${pick(["saw", "met", "followed", "forgot"])} a ${pick(["red", "small", "strange"])} ${pick(["boat", "house", "bird", "letter"])} ${pick(["by the river", "in the town", "before dawn", "after the war"])}.`;
  let text = "";
  while (text.length < 150_000) text += `${sentence()} ${sentence()} ${sentence()}\n\n`;
  writeFileSync(book, text);
}

/** The guard of a supervisor ends a moment after it. */
const nothingLeft = (): Promise<void> => expect.poll(() => processesMarked(mark), { timeout: 30_000 }).toEqual([]);

/** Keeps the default ports from `up`, unless somebody else does so already. */
async function take(port: number): Promise<void> {
  const server: Server = createServer();
  await new Promise<void>((done) => {
    server.once("error", () => done());
    server.listen(port, "127.0.0.1", () => done());
  });
  cleanups.push(() => server.close());
}

/** A worker with a wallet of its own joins the run as soon as it trains; told to end when `up` has ended. */
async function joinRun(worker: { child: ChildProcess | undefined }): Promise<Ended> {
  const file = await readRunFile(state);
  const url = file?.urls["coordinator"] ?? "";
  announced = await createCoordinatorClient(url).run(asRunId(file?.runId ?? ""));
  return cotrain(
    [
      "worker",
      "--coordinator",
      url,
      "--state",
      join(directory, "worker"),
      "--wallet",
      wallet,
      "--passphrase-file",
      passphrase,
      "--threads",
      "1",
    ],
    { environment, onStart: (child) => (worker.child = child) },
  );
}

beforeAll(async () => {
  writeBook();
  me = (await ensureKeystore({ keystore: wallet, passphrase, scryptN: SCRYPT_N_LOCAL })).address;
  await Promise.all([take(8_545), take(7_700)]);
  const worker: { child: ChildProcess | undefined } = { child: undefined };
  let joining: Promise<Ended> | undefined;
  first = await cotrain(
    [
      "up",
      "--state",
      state,
      "--preset",
      "0.1m",
      "--data",
      book,
      "--workers",
      "1",
      "--keep-payloads",
      "2h",
      "--keep-checkpoints",
      "5",
      "--keep-bytes",
      "3GiB",
      "--for",
      "75s",
      "--vote",
      "--exit",
      "--json",
    ],
    {
      environment,
      onStderr: (stderr) => {
        if (/Training · round/.test(stderr)) joining ??= joinRun(worker);
      },
    },
  );
  worker.child?.kill("SIGINT");
  joined = (await joining) ?? { code: null, stdout: "", stderr: "" };
  summary = JSON.parse(first.stdout) as Summary;
  cpSync(state, unclaimed, { recursive: true });
});

afterAll(async () => {
  for (const work of cleanups.reverse()) await work();
});

/** `cotrain <args>` on the state, in this process. */
const run = (...args: readonly string[]): Promise<Ended> => cotrainHere([...args, "--state", state]);

/** The one document that a command prints under --json. */
async function jsonOf(...args: readonly string[]): Promise<unknown> {
  const { code, stdout, stderr } = await run(...args, "--json");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

/** A copy of the state for one test. */
function copyOf(): string {
  const copy = join(temporaryDirectory(), "state");
  cpSync(state, copy, { recursive: true });
  return copy;
}

const newest = (): Digest => asDigest(summary.checkpoints.at(-1)?.digest ?? "");

async function shardOf(where: string, checkpoint: Digest): Promise<string> {
  const store = await openBlobStore(join(where, "blobs"));
  const manifest = parseDocument(
    "manifest",
    CheckpointManifest,
    JSON.parse(new TextDecoder().decode(await store.get(checkpoint))),
  );
  const digest = manifest.fragments[0]?.digest.slice(2) ?? "";
  return join(where, "blobs", digest.slice(0, 2), digest);
}

function flipByte(file: string, position: number): void {
  const bytes = readFileSync(file);
  bytes[position] = (bytes[position] ?? 0) ^ 1;
  writeFileSync(file, bytes);
}

describe("up", () => {
  test("ends with 0, prints one document, and leaves no process", async () => {
    expect(first.code).toBe(0);
    expect(Value.Check(Summary, summary)).toBe(true);
    expect(JSON.parse(readFileSync(join(state, "summary.json"), "utf8"))).toEqual(summary);
    await nothingLeft();
  });

  test("trains on the user's own text with the preset and the workers asked for", () => {
    expect(summary.model).toMatchObject({ preset: "0.1m", text: expect.stringContaining("book.txt") });
    expect(summary.training.rounds).toBeGreaterThan(0);
    expect(summary.heldOut.after ?? Infinity).toBeLessThan(summary.heldOut.initial ?? 0);
    expect(summary.wallets.map(({ name }) => name)).toEqual(["worker-1", "elsewhere"]);
    expect(summary.wallets[1]?.account).toBe(me);
  });

  test("pays, and applies what holders decided", () => {
    const [own, elsewhere] = summary.wallets;
    expect(BigInt(own?.earned ?? 0)).toBeGreaterThan(0n);
    expect(own?.claimed).toBe(own?.earned);
    expect(BigInt(elsewhere?.earned ?? 0)).toBeGreaterThan(0n);
    expect(elsewhere?.claimed).toBe("0");
    expect(summary.proposal).toMatchObject({ state: "executed", appliedInRound: expect.any(Number) });
    expect(BigInt(summary.proposal?.supply ?? 0)).toBeGreaterThanOrEqual(BigInt(summary.proposal?.votesFor ?? 0));
    expect(summary.pending.filter(({ what }) => !/epoch/.test(what))).toEqual([]);
  });

  test("takes free ports where the default ones are taken, and writes them to run.json", async () => {
    const ports = (await readRunFile(state))?.ports ?? {};
    expect(Object.keys(ports).sort()).toEqual(["chain", "coordinator"]);
    expect(ports["chain"]).not.toBe(8_545);
    expect(ports["coordinator"]).not.toBe(7_700);
  });

  test("announces how long payloads and checkpoints are kept", () => {
    expect(announced.kept).toEqual({ payloadSeconds: 7_200, checkpoints: 5, checkpointBytes: 3 * 2 ** 30 });
  });

  test("shows plain lines where there is no terminal", () => {
    const lines = first.stderr.trimEnd().split("\n");
    expect(lines.filter((line) => !/^\d+:\d\d {2}/.test(line))).toEqual([]);
    expect(first.stderr).not.toContain("\u001b");
  });

  test("a worker of another wallet ends with 130 by Ctrl-C", () => {
    expect(joined.code).toBe(130);
  });

  const otherBook = join(root, "docs/protocol.md");
  test.each([
    ["preset", "1m", "preset 0.1m, not 1m"],
    ["data", otherBook, `data ${book}, not ${otherBook}`],
    ["rpc", "http://127.0.0.1:9", "the embedded chain, not http://127.0.0.1:9"],
  ])("refuses another --%s than that of the run", async (key, value, what) => {
    const before = contentOf(state);
    expect(verdictOf(await run("up", "--exit", `--${key}`, value))).toEqual(
      refusal(
        1,
        `This state holds a run with ${what}: leave --${key} out to go on with it, or start anew with "npm start -- --fresh --preset ${key === "preset" ? value : "0.1m"} --data ${key === "data" ? value : book}${key === "rpc" ? ` --rpc ${value}` : ""} --state ${state}".`,
      ),
    );
    expect(contentOf(state)).toEqual(before);
  });
});

/** Twelve tokens after "The old". */
async function text(...flags: readonly string[]): Promise<string> {
  const document = await jsonOf("generate", "--prompt", "The old", "--tokens", "12", ...flags);
  const { prompt, text: written } = document as { prompt: string; text: string };
  expect(prompt).toBe("The old");
  return written;
}

describe("commands on a run at rest start its chain and end it", () => {
  test("status", async () => {
    expect(await jsonOf("status")).toMatchObject({
      running: false,
      runId: summary.model.runId,
      round: summary.training.rounds,
    });
    const { stdout } = await cotrain(["status", "--state", state], { environment });
    expect(stdout).toMatch(/^phase +at rest \(open on chain 31337\)/m);
    // A summary that is older than the chain's head is not mixed with it.
    const copy = copyOf();
    const { training } = summary;
    const older = { ...summary, training: { ...training, rounds: training.rounds - 1, tokens: "1" } };
    writeFileSync(join(copy, "summary.json"), JSON.stringify(older));
    const told = await cotrainHere(["status", "--state", copy, "--json"]);
    expect(JSON.parse(told.stdout)).toMatchObject({
      round: training.rounds,
      tokens: training.tokens,
      heldOutOf: training.rounds - 1,
    });
    await nothingLeft();
  });

  test("status names the chain's RPC, every contract and every checkpoint's transaction", async () => {
    const told = (await jsonOf("status")) as {
      contracts: unknown;
      rpc: string;
      checkpoints: { transaction: string }[];
    };
    expect(told.contracts).toEqual(summary.contracts);
    expect(Object.entries(announced.contracts)).toEqual(Object.entries(summary.contracts));
    expect(told.rpc).toBe(summary.rpc);
    const transactions = summary.checkpoints.map(({ transaction }) => transaction);
    expect(told.checkpoints.map(({ transaction }) => transaction)).toEqual(transactions);
    const { stdout } = await run("status");
    for (const address of Object.values(summary.contracts)) expect(stdout).toContain(address);
    expect(stdout).toContain(String(transactions.at(-1)));
  });

  test("checkpoint list, from the chain; where a coordinator is named, from that alone", async () => {
    const list = (await jsonOf("checkpoint", "list", "--run", summary.model.runId)) as object[];
    expect(list).toEqual(
      summary.checkpoints.map(({ round, digest, transaction, block }) => ({ round, digest, transaction, block })),
    );
    const { stdout } = await run("checkpoint", "list");
    for (const { digest, transaction } of summary.checkpoints) {
      expect(stdout).toContain(digest);
      expect(stdout).toContain(transaction ?? "none");
    }
    const away = await cotrainHere(["checkpoint", "list", "--coordinator", "http://127.0.0.1:9"]);
    expect(away.code).toBe(75);
  });

  test("verify", async () => {
    expect(await jsonOf("verify")).toMatchObject({
      sound: true,
      heads: summary.checkpoints.length,
      ok: summary.checkpoints.length,
    });
    const { code, stdout } = await run("verify");
    expect(code).toBe(0);
    expect(stdout.match(/^ok +checkpoint/gm)).toHaveLength(summary.checkpoints.length);
  });

  test("verify: shards of an old checkpoint may be gone, those of the newest not", async () => {
    const copy = copyOf();
    rmSync(await shardOf(copy, asDigest(summary.checkpoints[1]?.digest ?? "")));
    const pruned = await cotrainHere(["verify", "--state", copy]);
    expect(pruned.stdout).toMatch(/^pruned checkpoint 1, link 1, .*; its shards are not kept any more$/m);
    expect(pruned.stdout).toContain(`${summary.checkpoints.length - 1} ok, 1 pruned, 0 missing, 0 wrong`);
    expect(pruned.code).toBe(0);
    rmSync(await shardOf(copy, newest()));
    const missing = await cotrainHere(["verify", "--state", copy]);
    expect(missing.stdout).toContain("1 pruned, 1 missing, 0 wrong");
    expect(missing.code).toBe(1);
  });

  test("--run, --rpc and --deployment of another run are refused", async () => {
    const other = `0x${"ab".repeat(32)}`;
    for (const command of [["verify"], ["status"], ["rewards", "list"]]) {
      expect(verdictOf(await run(...command, "--run", other))).toEqual(
        refusal(1, `holds run ${summary.model.runId}, not ${other}: leave --run out`),
      );
      expect((await run(...command, "--run", summary.model.runId, "--json")).code).toBe(0);
    }
    const foreign = join(directory, "foreign.json");
    const deployment = JSON.parse(readFileSync(join(state, "deployment.json"), "utf8")) as { chainId: number };
    writeFileSync(foreign, JSON.stringify({ ...deployment, chainId: 1 }));
    for (const command of [["verify"], ["rewards", "claim"]]) {
      expect(verdictOf(await run(...command, "--rpc", "http://127.0.0.1:9"))).toEqual(refusal(75, "127.0.0.1:9"));
      expect(verdictOf(await run(...command, "--deployment", foreign))).toEqual(
        refusal(1, `names the chain 31337, but ${foreign} has 1`),
      );
    }
  });

  test("generate: --prompt, --tokens, --temperature, --top-k, --seed, --threads, --checkpoint", async () => {
    const likeliest = await text("--temperature", "0");
    expect(await text("--temperature", "0")).toBe(likeliest);
    expect(await text("--temperature", "0", "--threads", "1", "--seed", "9")).toBe(likeliest);
    expect(await text("--top-k", "1")).toBe(likeliest);
    expect(await text("--seed", "1", "--temperature", "2")).not.toBe(await text("--seed", "2", "--temperature", "2"));
    const untrained = summary.checkpoints[0]?.digest ?? "";
    expect(await text("--temperature", "0", "--checkpoint", untrained)).not.toBe(likeliest);
    const { stdout } = await cotrain(
      ["generate", "--state", state, "--prompt", "The old", "--temperature", "0", "--tokens", "12"],
      { environment },
    );
    expect(stdout).toBe(`The old${likeliest}\n`);
  });

  test("generate refuses a checkpoint that is not there, and a digest that is none", async () => {
    const absent = `0x${"ab".repeat(32)}`;
    for (const command of [["generate"], ["checkpoint", "export", join(directory, "absent.car")]]) {
      expect(verdictOf(await run(...command, "--checkpoint", absent))).toEqual(
        refusal(
          1,
          `has no checkpoint ${absent}, or not all of it any more: "npx cotrain checkpoint list --state ${state}"`,
        ),
      );
      expect(verdictOf(await run(...command, "--checkpoint", "newest"))).toEqual(
        refusal(1, '--checkpoint must be 0x and 64 hex digits, not "newest".'),
      );
    }
  });

  test("rewards list, of all wallets and of one --account", async () => {
    const [paid] = summary.wallets;
    expect(await jsonOf("rewards", "list")).toEqual(
      [
        {
          name: "worker-1",
          account: paid?.account,
          earned: paid?.earned,
          claimed: paid?.claimed,
          claimable: "0",
          votes: paid?.votes,
        },
        { name: "elsewhere", account: me, earned: expect.stringMatching(/^[1-9]/), claimed: "0", votes: "0" },
      ].map((row) => expect.objectContaining(row)),
    );
    expect(await jsonOf("rewards", "list", "--account", me)).toMatchObject([{ account: me, claimed: "0", votes: "0" }]);
  });

  test("rewards claim: for one wallet, without its votes; then there is nothing more", async () => {
    const flags = ["rewards", "claim", "--wallet", wallet, "--passphrase-file", passphrase];
    const [claim] = (await jsonOf(...flags, "--no-delegate")) as { amount: string; transaction: string }[];
    expect(claim).toMatchObject({ account: me, transaction: expect.stringMatching(/^0x[0-9a-f]{64}$/) });
    expect(BigInt(claim?.amount ?? 0)).toBeGreaterThan(0n);
    expect(await jsonOf("rewards", "list", "--account", me)).toMatchObject([
      { claimed: claim?.amount, claimable: "0", votes: "0" },
    ]);
    expect(await jsonOf(...flags)).toMatchObject([{ amount: "0", transaction: null }]);
    expect(await jsonOf("rewards", "claim")).toMatchObject([{ name: "worker-1", amount: "0", transaction: null }]);
  });

  test("checkpoint export writes over an earlier one, over nothing else, and makes no directories", async () => {
    const car = join(directory, "twice.car");
    for (let times = 0; times < 2; times++) expect((await run("checkpoint", "export", car)).code).toBe(0);
    const thesis = join(directory, "thesis.tex");
    writeFileSync(thesis, "\\begin{document}");
    expect(verdictOf(await run("checkpoint", "export", thesis))).toEqual(
      refusal(1, `${thesis} exists and is no exported checkpoint: name another file, or overwrite it with --force.`),
    );
    expect(readFileSync(thesis, "utf8")).toBe("\\begin{document}");
    expect((await run("checkpoint", "export", thesis, "--force")).code).toBe(0);
    expect(readFileSync(thesis).equals(readFileSync(car))).toBe(true);
    const deep = join(directory, "none", "model.car");
    for (const [file, sentence] of [
      [deep, `there is no directory ${dirname(deep)}`],
      [directory, "no regular file"],
      ["/dev/null", "no regular file"],
      ["/proc/x.car", "/proc is not there or takes no files"],
    ] as const)
      expect(verdictOf(await run("checkpoint", "export", file, "--force"))).toEqual(refusal(1, sentence));
    expect(existsSync(dirname(deep))).toBe(false);
  });

  test("checkpoint export, and import into another state", async () => {
    const car = join(directory, "model.car");
    expect(await jsonOf("checkpoint", "export", car)).toMatchObject({ checkpoint: newest(), file: car });
    const other = copyOf();
    rmSync(join(other, "blobs"), { recursive: true });
    const into = (...more: readonly string[]): Promise<Ended> =>
      cotrainHere(["checkpoint", "import", car, "--state", other, "--json", ...more]);

    const untrained = summary.checkpoints[0]?.digest ?? "";
    expect(verdictOf(await into("--checkpoint", untrained))).toEqual(refusal(1, `expected was ${untrained}`));
    expect(JSON.parse((await into("--checkpoint", newest())).stdout)).toMatchObject({ checkpoint: newest() });
    const again = join(directory, "again.car");
    await cotrainHere(["checkpoint", "export", again, "--state", other, "--checkpoint", newest()]);
    expect(readFileSync(again).equals(readFileSync(car))).toBe(true);

    rmSync(join(other, "blobs"), { recursive: true });
    flipByte(car, 50_000);
    expect(verdictOf(await into())).toEqual(
      refusal(1, new RegExp(`^${car} cannot be imported: copy or export it again\\. .* hash`)),
    );
    truncateSync(car, 50_000);
    expect(verdictOf(await into())).toEqual(refusal(1, /ends in the middle of a block/));
    expect(Object.keys(contentOf(join(other, "blobs")) ?? {})).toEqual([]);
    expect(
      verdictOf(await cotrainHere(["checkpoint", "import", join(directory, "none.car"), "--state", other])),
    ).toEqual(refusal(1, /none\.car/));
  });

  test("checkpoint import into an empty directory gives a model that generate and verify take", async () => {
    const car = join(directory, "travelling.car");
    await jsonOf("checkpoint", "export", car);
    const elsewhere = join(temporaryDirectory(), "state");
    const there = (...args: readonly string[]): Promise<Ended> => cotrainHere([...args, "--state", elsewhere]);

    truncateSync(join(directory, "twice.car"), 10_000);
    expect(verdictOf(await there("checkpoint", "import", join(directory, "twice.car")))).toEqual(
      refusal(1, /ends in the middle/),
    );
    expect(existsSync(elsewhere)).toBe(false);

    const imported = await there("checkpoint", "import", car, "--json");
    expect(JSON.parse(imported.stdout)).toMatchObject({
      checkpoint: newest(),
      runId: summary.model.runId,
      chainId: 31_337,
    });
    const prompt = ["generate", "--prompt", "The old miller", "--tokens", "12", "--json"];
    expect(JSON.parse((await there(...prompt)).stdout)).toEqual(await jsonOf(...prompt));
    const untrained = summary.checkpoints[0]?.digest ?? "";
    expect(verdictOf(await there("generate", "--checkpoint", untrained))).toEqual(refusal(1, `not ${untrained}`));

    const alone = await there("verify", "--json");
    expect(JSON.parse(alone.stdout)).toMatchObject({ sound: true, checkpoint: newest(), anchored: null });
    await withChain(await openLocalRun(state), async ({ url }) => {
      const held = await there("verify", "--rpc", url, "--deployment", join(state, "deployment.json"), "--json");
      expect(JSON.parse(held.stdout)).toMatchObject({
        sound: true,
        anchored: { sequence: expect.any(Number) },
        verdictsRead: false,
      });
      const { runId } = summary.model;
      const another = `0x${"ab".repeat(32)}`;
      expect((await there("verify", "--rpc", url, "--run", runId)).stdout).toMatch(/rejected it was not looked up/);
      for (const rpc of [["--rpc", url], []])
        expect(verdictOf(await there("verify", ...rpc, "--run", another))).toEqual(
          refusal(1, `holds an imported model of run ${runId}, not ${another}`),
        );
    });
    const none = join(directory, "none.json");
    expect(verdictOf(await there("verify", "--deployment", none))).toEqual(refusal(1, `${none} does not exist`));
    const liar = writeLiar(state);
    expect(verdictOf(await there("verify", "--deployment", liar))).toEqual(refusal(1, `but ${liar} has 0x9999`));
    const shard = await shardOf(elsewhere, newest());
    flipByte(shard, 400);
    expect(verdictOf(await there("verify"))).toEqual(refusal(1, /corrupted/));
    expect((await there("checkpoint", "import", car)).code).toBe(0);
    expect((await there("verify")).code).toBe(0);

    const again = join(directory, "travelled.car");
    expect((await there("checkpoint", "export", again)).code).toBe(0);
    expect(readFileSync(again).equals(readFileSync(car))).toBe(true);
    // A run's own checkpoints count where there is a run, and another run's model has no place there.
    expect((await run("checkpoint", "import", car)).code).toBe(0);
  });
});

/** The deployment of a state, but for one contract. */
function writeLiar(of: string): string {
  const liar = join(directory, "liar.json");
  const deployment = JSON.parse(readFileSync(join(of, "deployment.json"), "utf8")) as { addresses: object };
  const addresses = { ...deployment.addresses, runRegistry: `0x${"9".repeat(40)}` };
  writeFileSync(liar, JSON.stringify({ ...deployment, addresses }));
  return liar;
}

/** Without a deployment of one's own the contracts are a coordinator's word, and that is said. */
async function verifyFrom(coordinator: string, rpc: string, deployment: string): Promise<void> {
  const verify = ["verify", "--coordinator", coordinator, "--rpc", rpc];
  const { addresses } = JSON.parse(readFileSync(deployment, "utf8")) as { addresses: Record<string, string> };
  const believed = await cotrainHere(verify);
  expect(believed.stdout).toMatch(/^The contracts are the coordinator's word alone/);
  for (const each of [summary.model.runId, ...Object.values(summary.contracts)])
    expect(believed.stdout).toContain(each);
  const { runId } = summary.model;
  expect(JSON.parse((await cotrainHere([...verify, "--json"])).stdout)).toMatchObject({
    contractsFrom: "coordinator",
    runId,
    contracts: summary.contracts,
  });
  const pinned = await cotrainHere([...verify, "--deployment", deployment]);
  expect(pinned.code).toBe(0);
  expect(pinned.stdout).toMatch(/^ok +checkpoint 0/);
  const liar = writeLiar(dirname(deployment));
  for (const command of [verify, ["rewards", "claim", ...verify.slice(1)]])
    expect(verdictOf(await cotrainHere([...command, "--deployment", liar]))).toEqual(
      refusal(1, `names the runRegistry ${addresses["runRegistry"]}, but ${liar} has 0x${"9".repeat(40)}`),
    );
}

/** A worker elsewhere has its directory and two URLs; its wallet has never had coins. */
async function claimFrom(coordinator: string, rpc: string, deployment: string): Promise<void> {
  const elsewhere = join(directory, "elsewhere");
  mkdirSync(elsewhere);
  cpSync(wallet, join(elsewhere, "wallet.json"));
  cpSync(passphrase, join(elsewhere, "passphrase"));
  const where = ["--coordinator", coordinator, "--rpc", rpc, "--run", summary.model.runId, "--json"];
  const json = async (...args: readonly string[]): Promise<unknown> => {
    const { code, stdout, stderr } = await cotrainHere([...args, ...where]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return JSON.parse(stdout);
  };
  const [mine, other] = (await json("rewards", "list", "--state", elsewhere)) as Record<string, string>[];
  expect(mine).toMatchObject({ name: "wallet", account: me, claimed: "0", claimable: mine?.["earned"] });
  expect(other).toMatchObject({ name: "elsewhere", account: summary.wallets[0]?.account });
  expect(verdictOf(await cotrainHere(["rewards", "claim", ...where, "--state", join(directory, "nobody")]))).toEqual(
    refusal(1, "holds no worker's wallet"),
  );
  expect(verdictOf(await cotrainHere(["rewards", "list", "--state", elsewhere]))).toEqual(
    refusal(1, "name its coordinator and chain with --coordinator and --rpc"),
  );
  const claim = ["rewards", "claim", "--state", elsewhere, "--deployment", deployment];
  expect(await json(...claim)).toMatchObject([{ account: me, amount: mine?.["earned"] }]);
  expect(await json("rewards", "list", "--state", elsewhere)).toMatchObject([
    { account: me, claimed: mine?.["earned"], claimable: "0", votes: mine?.["earned"] },
    {},
  ]);
}

describe("a coordinator of its own", () => {
  test("serves status, verify and rewards to others, and ends by Ctrl-C with 130", async () => {
    const copy = unclaimed;
    const port = String(await findPort({ port: 0, explicit: true }));
    const coordinator = `http://127.0.0.1:${port}`;
    await withChain(await openLocalRun(copy), async ({ url }) => {
      let child: ChildProcess | undefined;
      const keep = ["--keep-payloads", "1d", "--keep-checkpoints", "9", "--keep-bytes", "1GiB"];
      const serving = cotrain(["coordinator", "--state", copy, "--rpc", url, "--port", port, ...keep], {
        environment,
        onStart: (started) => (child = started),
      });
      try {
        await expect
          .poll(
            () =>
              fetch(`${coordinator}/health`).then(
                ({ ok }) => ok,
                () => false,
              ),
            { timeout: 60_000 },
          )
          .toBe(true);
        const { runId } = summary.model;
        const status = ["status", "--coordinator", coordinator, "--json"];
        const asked = await cotrainHere([...status, "--run", runId]);
        expect(JSON.parse(asked.stdout)).toMatchObject({
          running: true,
          runId,
          phase: "Paused",
          round: summary.training.rounds,
        });
        expect((await cotrainHere(status)).stdout).toBe(asked.stdout);
        expect((await createCoordinatorClient(coordinator).run(asRunId(runId))).kept).toEqual({
          payloadSeconds: 86_400,
          checkpoints: 9,
          checkpointBytes: 2 ** 30,
        });
        expect((await cotrainHere([...status, "--run", `0x${"ab".repeat(32)}`])).code).toBe(1);

        const verify = ["verify", "--coordinator", coordinator, "--json"];
        const verified = await cotrainHere([...verify, "--rpc", url, "--run", runId]);
        expect(JSON.parse(verified.stdout)).toMatchObject({ sound: true, ok: summary.checkpoints.length });
        expect(verdictOf(await cotrainHere(verify))).toEqual(refusal(1, "--coordinator needs --rpc"));
        const car = join(directory, "served.car");
        const imported = join(directory, "imported");
        expect((await cotrainHere(["checkpoint", "export", car, "--state", copy])).code).toBe(0);
        expect((await cotrainHere(["checkpoint", "import", car, "--state", imported])).code).toBe(0);
        const both = await cotrainHere([...verify, "--rpc", url, "--state", imported]);
        expect(JSON.parse(both.stdout)).toMatchObject({
          sound: true,
          runId,
          model: { verdictsRead: true, round: summary.training.rounds },
        });
        await verifyFrom(coordinator, url, join(copy, "deployment.json"));
        await claimFrom(coordinator, url, join(copy, "deployment.json"));
      } finally {
        child?.kill("SIGINT");
      }
      expect((await serving).code).toBe(130);
    });
    expect(verdictOf(await cotrainHere(["status", "--coordinator", coordinator]))).toEqual(refusal(75, coordinator));
    await nothingLeft();
  });
});

describe("damage", () => {
  test("to a checkpoint: verify and the next start tell, an import mends it", async () => {
    const copy = copyOf();
    const car = join(dirname(copy), "model.car");
    await cotrainHere(["checkpoint", "export", car, "--state", copy]);
    const shard = await shardOf(copy, newest());
    flipByte(shard, 5_000);

    const verified = await cotrainHere(["verify", "--state", copy]);
    expect(verified.code).toBe(1);
    expect(verified.stdout).toMatch(new RegExp(`^FAIL +checkpoint .*\\n.*${basename(shard)} is corrupted`, "m"));
    expect(verified.stdout).toContain(" 1 wrong");
    expect(verdictOf(await cotrainHere(["generate", "--state", copy]))).toEqual(
      refusal(1, `${basename(shard)} is corrupted`),
    );
    const before = contentOf(join(copy, "blobs"));
    const again = ["up", "--state", copy, "--keep-payloads", "2h", "--for", "1s", "--exit"];
    expect(verdictOf(await cotrain(again, { environment }))).toEqual(
      refusal(
        1,
        `from which training goes on, is damaged in ${shard}: put a copy back with "npx cotrain checkpoint import FILE --state ${copy}"`,
      ),
    );
    expect(contentOf(join(copy, "blobs"))).toEqual(before);
    const half = join(dirname(copy), "half.car");
    expect((await cotrainHere(["checkpoint", "export", half, "--state", copy])).code).toBe(1);
    expect(existsSync(half)).toBe(false);

    expect((await cotrainHere(["checkpoint", "import", car, "--state", copy])).code).toBe(0);
    expect((await cotrainHere(["verify", "--state", copy])).code).toBe(0);
  });

  test("to the coordinator's database", async () => {
    const copy = copyOf();
    const database = join(copy, "coordinator", "coordinator.sqlite");
    writeFileSync(database, "not a database ".repeat(1_000));
    expect(verdictOf(await cotrain(["up", "--state", copy, "--for", "1s", "--exit"], { environment }))).toEqual(
      refusal(
        1,
        new RegExp(
          `${database} is damaged .*: put the state aside and start anew with "npm start -- --fresh .*--state ${copy}"`,
        ),
      ),
    );
    await nothingLeft();
  });

  test("to the chain's state and its copy", async () => {
    const copy = copyOf();
    const file = join(copy, "chain", "state.json");
    for (const each of [file, `${file}.previous`]) truncateSync(each, 5_000);
    for (const command of [["up", "--for", "1s", "--exit"], ["status"]]) {
      expect(verdictOf(await cotrain([...command, "--state", copy], { environment }))).toEqual(
        refusal(1, /state\.json is damaged and so is its copy .*: put the state aside and start anew/),
      );
    }
  });

  test("to deployment.json", async () => {
    const copy = copyOf();
    const file = join(copy, "deployment.json");
    for (const damage of ['{"chainId":', '{"chainId":31337}']) {
      writeFileSync(file, damage);
      expect(verdictOf(await cotrainHere(["verify", "--state", copy]))).toEqual(
        refusal(
          1,
          new RegExp(`${file} is .*: put the state aside and start anew with "npm start -- --fresh .*--state ${copy}"`),
        ),
      );
    }
  });
});

test("--fresh puts the state aside and begins anew; Ctrl-C ends it with 130 and leaves no process", async () => {
  const copy = copyOf();
  const ended = await cotrain(["up", "--state", copy, "--fresh", "--preset", "0.1m", "--for", "1s", "--exit"], {
    environment,
    onStderr: (stderr, child) => {
      if (stderr.includes("Registering model and run")) child.kill("SIGINT");
    },
  });
  expect(ended.code).toBe(130);
  const archived = readdirSync(dirname(copy)).find((name) => /^state\.\d{8}T\d{6}Z$/.test(name));
  expect(ended.stderr).toContain(`The old state was put aside as ${join(dirname(copy), archived ?? "?")}.`);
  expect(existsSync(join(dirname(copy), archived ?? "", "summary.json"))).toBe(true);
  expect(existsSync(join(copy, "summary.json"))).toBe(false);
  await nothingLeft();
});
