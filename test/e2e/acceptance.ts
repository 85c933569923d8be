/**
 * The main job as a newcomer runs it: a short session in this clone and a second in which the holders vote, the summary
 * checked, every command that it names executed, tests that a state in the clone could mislead run beside that state, and no process
 * left behind. Ends with 0 or with one sentence and 1.
 */
import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Value } from "typebox/value";

import { Summary } from "../../offchain/src/cli/up/summary.ts";
import { processesMarked } from "./processes.ts";

const root = resolve(fileURLToPath(import.meta.url), "../../..");
const state = join(root, ".cotrain");
/** In the environment of every process that is started here, so that none is overlooked. */
const mark = randomUUID();

function check(condition: boolean, sentence: string): void {
  if (condition) return;
  process.stderr.write(`acceptance: ${sentence}\n`);
  process.exit(1);
}

/** Runs a command line in the clone; answers its stdout. */
function run(command: string, seconds: number): string {
  const started = Date.now();
  process.stdout.write(`$ ${command}\n`);
  const { status, signal, stdout } = spawnSync(command, {
    cwd: root,
    env: { ...process.env, ACCEPTANCE_MARK: mark },
    shell: true,
    encoding: "utf8",
    timeout: seconds * 1_000,
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 64 << 20,
  });
  process.stdout.write(stdout);
  check(
    status === 0,
    `"${command}" ended with ${status ?? signal} after ${Math.round((Date.now() - started) / 1_000)} s instead of 0.`,
  );
  return stdout;
}

function readSummary(): Summary {
  const summary: unknown = JSON.parse(readFileSync(join(state, "summary.json"), "utf8"));
  check(Value.Check(Summary, summary), "summary.json does not have the summary's form.");
  return summary as Summary;
}

/** The guard of a supervisor ends a moment after it. */
async function checkNothingLeft(): Promise<void> {
  for (let tries = 0; tries < 30 && processesMarked(mark).length > 0; tries++) await sleep(1_000);
  const left = processesMarked(mark);
  check(left.length === 0, `processes were left behind:\n${left.join("\n")}`);
}

const sumOf = (amounts: readonly string[]): bigint => amounts.reduce((sum, amount) => sum + BigInt(amount), 0n);

/** Work and capital were contributed in every session, and every share is somebody's and came from somewhere. */
function checkShares({ shares, wallets, capital, noCapital, code }: Summary): void {
  const { minted, unclaimed, inGrants, inSale, inTreasury = "0", origins } = shares;
  const held = wallets.map(({ balance }) => balance);
  check(BigInt(origins.compute) > 0n, "no shares were minted for training.");
  check(capital?.transaction !== undefined && capital.transaction !== null, `no shares were bought: ${noCapital}`);
  check(origins.capital === capital?.shares, "more or fewer shares were minted for capital than were bought.");
  check(origins.code === (code?.amount ?? "0"), "more or fewer shares were minted for code than were granted.");
  check(sumOf([...held, unclaimed, inGrants, inSale, inTreasury]) === BigInt(minted), "not all shares are somebody's.");
  check(sumOf(Object.values(origins)) === BigInt(minted), "the kinds of contribution do not add up to all shares.");
}

/** A worker has coins at stake, and what roots of revenue set aside is somebody's, to the last unit. */
function checkMoney({ stake, noStake, revenue }: Summary): void {
  check(stake !== null, `nothing is at stake: ${noStake}`);
  const shared = sumOf((revenue?.parts ?? []).map(({ amount }) => amount));
  check(shared === BigInt(revenue?.setAside ?? "0"), "not all revenue that was set aside is somebody's.");
}

function checkSession(summary: Summary): void {
  const { training, heldOut, checkpoints, wallets } = summary;
  check(training.rounds > training.firstRound, "the round did not go up.");
  check(
    (heldOut.after ?? Infinity) < (heldOut.initial ?? 0),
    `held-out bits/byte did not fall: ${heldOut.initial} → ${heldOut.after}.`,
  );
  check(summary.sample.after.length > 0 && summary.sample.before !== summary.sample.after, "no text was sampled.");
  check(
    checkpoints.every(({ transaction }) => transaction !== null),
    "a checkpoint has no transaction.",
  );
  const trainers = wallets.filter(({ name }) => name.startsWith("worker-"));
  check(
    trainers.length === 3 && trainers.every(({ earned, claimed }) => BigInt(earned) > 0n && earned === claimed),
    "a wallet has not claimed all that it earned.",
  );
  checkShares(summary);
  checkMoney(summary);
  const { contracts } = summary;
  check(summary.rpc.startsWith("http://127.0.0.1:"), "the chain's RPC is not told.");
  check(
    ["shares", "governor", "runRegistry"].every((name) => contracts[name]),
    "the contracts are not told.",
  );
  // Settling has half a minute: on a busy machine the last epoch may be left over, and nothing else.
  const left = summary.pending.filter(({ what }) => !/epoch|granted for code|that shares|of revenue/.test(what));
  check(left.length === 0, `something is pending on a local chain: ${JSON.stringify(left)}.`);
}

rmSync(state, { recursive: true, force: true });
run("npm start -- --for 45s --exit", 420);
const first = readSummary();
checkSession(first);
await checkNothingLeft();

check(
  first.proposal === null && /--vote/.test(first.noVote ?? ""),
  "a short session held a vote, or did not say why not.",
);
check(first.code === null && first.noCode === first.noVote, "a session without a vote had code paid.");

run("npm start -- --for 150s --vote --exit", 480);
const second = readSummary();
checkSession(second);
check(second.training.firstRound >= first.training.rounds, "the second start did not go on where the first ended.");
check(second.model.runId === first.model.runId, "the second start made another run.");
check(
  (second.heldOut.after ?? Infinity) < (first.heldOut.after ?? 0),
  "the second start did not make the model better.",
);
const { proposal } = second;
check(proposal?.state === "executed", "the proposal was not executed.");
check(second.code?.transaction === proposal?.executed, `no code was paid: ${second.noCode}`);
check(second.capital?.deposited === first.capital?.deposited, "shares were bought twice.");
check(
  BigInt(proposal?.votesFor ?? 0) <= BigInt(proposal?.supply ?? 0),
  "more votes were cast than there were shares at the snapshot.",
);
// On a slow machine no round may have had the time to begin under it: then the next session's first one does.
if (proposal?.appliedInRound === null) {
  run("npm start -- --for 45s --exit", 420);
  const third = readSummary();
  checkSession(third);
  const { params } = JSON.parse(run("npx cotrain params --json", 60)) as { params: { innerSteps: number | string } };
  const [, to] = /→ (\d+) inner steps/.exec(proposal.title) ?? [];
  check(Number(params.innerSteps) === Number(to), `decided is "${proposal.title}", in force are ${params.innerSteps}.`);
  check(
    third.decided.some(({ title }) => title === proposal.title),
    "the next session does not tell what was decided.",
  );
}

for (const { command } of second.commands)
  if (command !== "npm start") check(run(command, 180).trim().length > 0, `"${command}" printed nothing.`);
rmSync(join(root, "model.car"), { force: true });
// Whoever has trained in this clone tests in it: commands about somebody else's run look at none of its own state.
run("npm test -- test/offchain/cli/capital.test.ts test/offchain/cli/code.test.ts", 300);
await checkNothingLeft();
process.stdout.write("acceptance: the main job ran again and again, and every command of its summary works\n");
