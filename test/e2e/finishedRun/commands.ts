/** Commands on a run at rest. */
import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { asDigest, defaultRunBounds, runParameters, runParamsToWire, type WireRunParams } from "@cotrain/sdk/protocol";
import { expect, test } from "vitest";

import { openLocalRun, withChain } from "../../../offchain/src/run/index.ts";
import {
  contentOf,
  cotrain,
  cotrainHere,
  type Ended,
  refusal,
  temporaryDirectory,
  verdictOf,
} from "../../offchain/cli/support.ts";
import { until } from "../harness.ts";
import {
  announced,
  copyOf,
  directory,
  environment,
  flipByte,
  jsonOf,
  left,
  me,
  newest,
  nothingLeft,
  passphrase,
  run,
  shardOf,
  state,
  summary,
  wallet,
  writeLiar,
} from "./harness.ts";

/** Twelve tokens after "The old". */
async function text(...flags: readonly string[]): Promise<string> {
  const document = await jsonOf("generate", "--prompt", "The old", "--tokens", "12", ...flags);
  expect(document).toMatchObject({ rejected: [], inherited: [] });
  const { prompt, text: written } = document as { prompt: string; text: string };
  expect(prompt).toBe("The old");
  return written;
}

export function commandsAtRest(): void {
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
      heldOutOf: summary.heldOut.checkpoints.after,
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
    expect(announced.contracts).toEqual(summary.contracts);
    for (const named of Object.values(summary.contracts)) expect(named).toMatch(/^0x[\da-fA-F]{40}$/);
    expect(told.rpc).toBe(summary.rpc);
    const transactions = summary.checkpoints.map(({ transaction }) => transaction);
    expect(told.checkpoints.map(({ transaction }) => transaction)).toEqual(transactions);
    const { stdout } = await run("status");
    for (const address of Object.values(summary.contracts)) expect(stdout).toContain(address);
    expect(stdout).toContain(String(transactions.at(-1)));
  });

  test("checkpoint list, from the chain; where a coordinator is named, from that alone", async () => {
    const list = (await jsonOf("checkpoint", "list", "--run", summary.model.runId)) as object[];
    expect(list).toMatchObject(
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

  test("params: what was voted for, its bounds, and all others, from the contracts", async () => {
    const told = (await jsonOf("params", "--run", summary.model.runId)) as { params: WireRunParams };
    const { innerSteps } = told.params;
    expect(innerSteps).not.toBe(announced.params.innerSteps);
    expect(told).toEqual({
      version: 2,
      params: { ...announced.params, innerSteps },
      min: runParamsToWire(defaultRunBounds.min),
      max: runParamsToWire(defaultRunBounds.max),
    });
    const { stdout } = await run("params");
    for (const { name, label } of runParameters) expect(stdout).toMatch(new RegExp(`^${name}\\b.*${label}`, "m"));
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
    expect(stdout.replaceAll(/\s+/g, " ")).toContain("the model's own have the roles that they should");
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
    for (const command of [["verify"], ["status"], ["params"], ["rewards", "list"]]) {
      expect(verdictOf(await run(...command, "--run", other))).toEqual(
        refusal(1, `holds run ${summary.model.runId}, not ${other}: leave --run out`),
      );
      expect((await run(...command, "--run", summary.model.runId, "--json")).code).toBe(0);
    }
    const foreign = join(directory, "foreign.json");
    const deployment = JSON.parse(readFileSync(join(state, "deployment.json"), "utf8")) as { chainId: number };
    writeFileSync(foreign, JSON.stringify({ ...deployment, chainId: 1 }));
    for (const command of [["verify"], ["params"], ["rewards", "claim"]]) {
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
          claimable: left().toString(),
          votes: paid?.votes,
        },
        { name: "elsewhere", account: me, earned: expect.stringMatching(/^[1-9]/), claimed: "0", votes: "0" },
      ].map((row) => expect.objectContaining(row)),
    );
    expect(await jsonOf("rewards", "list", "--account", me)).toMatchObject([{ account: me, claimed: "0", votes: "0" }]);
  });

  test("shares, of all wallets here: who trained, who bought, and who wrote code", async () => {
    const own = summary.wallets.filter(({ name }) => name !== "elsewhere");
    const { holdings, supply } = (await jsonOf("shares")) as { holdings: { account: string }[]; supply: string };
    expect(holdings).toMatchObject(own.map(({ account, balance, votes }) => ({ account, balance, votes })));
    expect(supply).toBe(summary.shares.minted);
    const { stdout } = await run("capital", "list");
    expect(stdout).toContain("settled");
  });

  test("rewards claim: for one wallet, without its votes; then there is nothing more", async () => {
    const flags = ["rewards", "claim", "--wallet", wallet, "--passphrase-file", passphrase];
    const [claim] = (await jsonOf(...flags, "--no-delegate")) as { amount: string; transaction: string }[];
    expect(claim).toMatchObject({ account: me, transaction: expect.stringMatching(/^0x[0-9a-f]{64}$/) });
    expect(BigInt(claim?.amount ?? 0)).toBeGreaterThan(0n);
    expect(await jsonOf("rewards", "list", "--account", me)).toMatchObject([
      { claimed: claim?.amount, claimable: "0", votes: "0" },
    ]);
    // The votes can be taken up later.
    expect(await jsonOf(...flags)).toMatchObject([{ amount: "0", transaction: null, delegated: true }]);
    expect(await jsonOf("rewards", "list", "--account", me)).toMatchObject([{ votes: claim?.amount }]);
    expect(await jsonOf("rewards", "claim")).toMatchObject([{ name: "worker-1", amount: left().toString() }]);
    expect(await jsonOf("rewards", "claim")).toMatchObject([{ name: "worker-1", amount: "0", transaction: null }]);
  });

  test("propose --vote, and proposals execute: the clock of a chain at rest goes while they need it", async () => {
    const copy = ["--state", copyOf()];
    const at = async (...args: readonly string[]) => verdictOf(await cotrainHere([...args, ...copy, "--json"]));
    const proposed = await at("propose", "innerSteps=44", "--vote");
    expect(proposed).toMatchObject({ code: 0 });
    const { proposal, votes } = JSON.parse(proposed.stdout) as { proposal: { proposalId: string }; votes: unknown[] };
    expect(votes.length).toBeGreaterThan(0);
    for (const step of ["queue", "execute"]) {
      const done = await until(step, async () => {
        const told = await at("proposals", "execute", proposal.proposalId);
        return told.code !== 75 && told;
      });
      expect(JSON.parse(done.stdout)).toMatchObject({ step });
    }
    expect(JSON.parse((await at("params")).stdout)).toMatchObject({ params: { innerSteps: 44 } });
  });

  test("checkpoint export writes over an earlier one, over nothing else, and makes no directories", async () => {
    const car = join(directory, "twice.car");
    for (const replaces of [false, true]) {
      const { code, stdout } = await run("checkpoint", "export", car);
      expect([code, stdout.includes("in the place of what was there")]).toEqual([0, replaces]);
    }
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
      refusal(
        1,
        new RegExp(
          `^${car} cannot be imported: name a model's CAR file, or if it is one, copy or export it again\\. .* hash`,
        ),
      ),
    );
    truncateSync(car, 50_000);
    expect(verdictOf(await into())).toEqual(refusal(1, /ends in the middle of a block/));
    expect(Object.keys(contentOf(join(other, "blobs")) ?? {})).toEqual([]);
    expect(
      verdictOf(await cotrainHere(["checkpoint", "import", join(directory, "none.car"), "--state", other])),
    ).toEqual(refusal(1, /none\.car/));
  });

  // foundation 13
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
    // What validators rejected the chain says, which a file does not name.
    const unjudged = { rejected: null, inherited: null };
    expect(JSON.parse((await there(...prompt)).stdout)).toEqual({
      ...((await jsonOf(...prompt)) as object),
      ...unjudged,
    });
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
}
