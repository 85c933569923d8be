/** Commands that put what somebody means to the holders, on a real node: what they refuse, what they propose, and that it comes to pass. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import {
  bondTerms,
  consentAsValidator,
  governorSettings,
  modelContractsOf,
  propose as proposeToHolders,
  runOf,
  setDisputeBond,
  timelockOf,
} from "@cotrain/sdk/actions";
import { asAddress, type Hex } from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";

import { formatAddress, timeText } from "../../../offchain/src/base/index.ts";
import { requireTerms } from "../../../offchain/src/cli/commands/capitalTerms.ts";
import { plainIntention } from "../../../offchain/src/cli/plainIntentions.ts";
import { layout } from "../../../offchain/src/run/index.ts";
import { root } from "../../attack/rows.ts";
import { pass } from "../chain/settle.ts";
import { accountOf, validators } from "../chain/world.ts";
import { type Holders, openHolders } from "./holders.ts";
import { execute, type ShownCall, told } from "./staged.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

/** So long a vote that no slow machine sees its end. */
const VOTING_PERIOD = 6_000;

let holders: Holders;
let snapshot: Hex;
beforeAll(async () => {
  holders = await openHolders({ votingPeriod: VOTING_PERIOD });
  // Votes count from the second after the claim on.
  await pass(holders.world, 1);
  snapshot = await holders.client.snapshot();
});
beforeEach(async () => {
  await holders.client.revert({ id: snapshot });
  snapshot = await holders.client.snapshot();
});
afterAll(() => holders?.close());

const at = () => ["--state", holders.state];
const refused = async (...argv: readonly string[]) => verdictOf(await cotrainHere([...argv, ...at()]));

interface Proposed {
  readonly title: string;
  readonly call: ShownCall & { readonly words: string };
  readonly proposal: { readonly proposalId: string; readonly proposer: Hex } | null;
  readonly votes: readonly { readonly votes: string }[];
}
const propose = (...argv: readonly string[]) => told<Proposed>(...argv, ...at());

/** What is proposed is shown and simulated, not sent. */
const rehearse = (...argv: readonly string[]) => propose(...argv, "--dry-run");

/** Carries out what was proposed, as the holders' timelock does. */
async function accept({ call }: Proposed): Promise<void> {
  const { client, world } = holders;
  const { contracts: addresses, modelId } = world;
  const timelock = await timelockOf(client, { addresses, modelId });
  await client.setBalance({ address: timelock, value: 10n ** 18n });
  await client.impersonateAccount({ address: timelock });
  await execute(client, timelock, call);
}

const addressOf = (name: string): Hex => formatAddress(accountOf(name).address);
const ascending = (all: readonly Hex[]): Hex[] =>
  [...all].sort((a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1)).map(formatAddress);

interface Shown {
  readonly inForce: { readonly version: number; readonly members: readonly Hex[]; readonly threshold: number } | null;
  readonly coming: readonly { readonly members: readonly Hex[]; readonly threshold: number; readonly since: number }[];
}

/** A change of the maintainers that is refused. */
const change = (...flags: readonly string[]) => refused("maintainers", "propose", ...flags);

describe("signers", () => {
  const names = ["ada", "bob", "cyd"].map(addressOf);
  const three = names.join(",");

  test("the first maintainers are proposed, voted for at once, and chosen when anybody carries it out", async () => {
    const { client, world } = holders;
    expect((await cotrainHere(["maintainers", "show", ...at()])).stdout).toBe("There are no maintainers.\n");
    // The chain's clock goes on meanwhile, as that of a chain with other users does.
    const ticking = setInterval(() => void client.mine({ blocks: 1 }), 100);
    onTestFinished(() => clearInterval(ticking));
    const proposed = await propose("maintainers", "propose", "--add", three, "--vote", "--reason", "They wrote it.");
    clearInterval(ticking);
    expect(proposed.title).toMatch(/^maintainers: 0x.* in, none → 2 of 3 must sign$/);
    expect(proposed.call.words).toContain("chooses the first maintainers of this model");
    expect(proposed.votes).toHaveLength(2);
    const { proposalId } = proposed.proposal!;
    await pass(world, VOTING_PERIOD);
    // Whoever carries it out is told what it is for.
    const queued = await cotrainHere(["proposals", "execute", proposalId, ...at()]);
    expect(queued.code).toBe(0);
    expect(`${queued.stdout}${queued.stderr}`.replaceAll(/\s+/g, " ")).toContain(
      'nothing here checks: "They wrote it."',
    );
    await pass(world, 60);
    expect(await told("proposals", "execute", proposalId, ...at())).toMatchObject({ step: "execute" });
    const chosen = { members: ascending(names), threshold: 2 };
    const shown = await told<Shown>("maintainers", "show", ...at());
    expect(shown).toMatchObject({ inForce: null, coming: [chosen] });
    expect((await cotrainHere(["maintainers", "show", ...at()])).stdout).toMatch(
      /^There are no maintainers\.\nset 1, from 2.*: 2 of 3 must sign\n( {2}0x\w{40}\n){3}$/,
    );
    await client.setNextBlockTimestamp({ timestamp: BigInt(shown.coming[0]!.since) });
    await client.mine({ blocks: 1 });
    expect(await told("maintainers", "show", ...at())).toMatchObject({
      inForce: { version: 1, ...chosen },
      coming: [],
    });
  });

  test("one comes and one goes, by the newest set, whether that is in force or not", async () => {
    await accept(await rehearse("maintainers", "propose", "--add", three, "--threshold", "3"));
    // A set changes once an epoch.
    await pass(holders.world, 16);
    const exchange = ["--add", addressOf("dan"), "--remove", addressOf("bob")];
    const next = await rehearse("maintainers", "propose", ...exchange);
    // Whole: two that are shortened may look alike.
    expect(next.title).toBe(`maintainers: ${addressOf("dan")} in, ${addressOf("bob")} out`);
    expect(next).toMatchObject({ replaces: 1, threshold: 3, proposal: null });
    await accept(next);
    const { coming, inForce } = await told<Shown>("maintainers", "show", ...at());
    const newest = coming.at(-1) ?? inForce;
    expect(newest?.members).toEqual(ascending(["ada", "cyd", "dan"].map(addressOf)));
  });

  test("what the contract would refuse is refused before, and says what to give instead", async () => {
    await accept(await rehearse("maintainers", "propose", "--add", three));
    await pass(holders.world, 16);
    expect(await change("--add", addressOf("ada"))).toEqual(
      refusal(1, "is in the newest set of maintainers already: add somebody else."),
    );
    expect(await change("--remove", addressOf("eve"))).toEqual(
      refusal(
        1,
        `${addressOf("eve")} is not in the newest set of maintainers: "npx cotrain maintainers show" shows who is.`,
      ),
    );
    expect(await change("--add", addressOf("eve"), "--remove", addressOf("eve"))).toEqual(
      refusal(1, "is named twice: name it once."),
    );
    expect(await change("--threshold", "1")).toEqual(
      refusal(1, "Of 3 maintainers 2 to 3 must sign, at least two thirds: --threshold 1 is not allowed."),
    );
    expect(await change("--remove", names.slice(0, 2).join(","))).toEqual(
      refusal(
        1,
        "Of 3 maintainers 1 may change at once, a third, and this changes 2: propose the others in a later epoch.",
      ),
    );
    expect(await change("--remove", three)).toEqual(
      refusal(1, "A set has 1 to 64 maintainers, and this would have none: add some with --add."),
    );
    expect(await change("--threshold", "2")).toEqual(
      refusal(1, "All that is asked for is in force: name another value."),
    );
    expect(await change()).toEqual(refusal(1, "All that is asked for is in force: name another value."));
    expect(await change("--add", "0xada")).toEqual(refusal(1, /^--add must be an address of 0x .*, not "0xada"\.$/));
    expect(await change("--reason", "x".repeat(2_001))).toEqual(refusal(1, "--reason has 2001 characters"));
  });

  test("validators are proposed alike", async () => {
    const own = ascending(validators.map(({ address }) => address));
    expect(await told("validators", "show", ...at())).toMatchObject({
      inForce: { version: 1, members: own, threshold: 2 },
      coming: [],
    });
    await pass(holders.world, 16);
    const [first] = own;
    const exchange = ["--add", addressOf("ada"), "--remove", first!, "--threshold", "3"];
    // A set holds what its members staked: nobody is taken in unasked.
    expect(await refused("validators", "propose", ...exchange, "--dry-run")).toEqual(
      refusal(1, `${addressOf("ada")} has not said yet that it wants to be a validator`),
    );
    const { client, world } = holders;
    const ada = accountOf("ada");
    await client.setBalance({ address: ada.address, value: 10n ** 18n });
    const { contracts: addresses, modelId } = world;
    await consentAsValidator.sync(client, { addresses, modelId, consents: true, account: ada, pollingInterval: 20 });
    const next = await rehearse("validators", "propose", ...exchange);
    expect(next.title).toMatch(/^validators: 0x.* in, 0x.* out, 2 of 3 → 3 of 3 must sign$/);
    expect(next.call.words).toContain("ValidatorSet chooses validators of this model in the place of set 1: coming 0x");
    await accept(next);
    const { coming } = await told<Shown>("validators", "show", ...at());
    expect(coming).toMatchObject([{ members: ascending([addressOf("ada"), ...own.slice(1)]), threshold: 3 }]);
  });
});

describe("terms of the sale of shares", () => {
  test("are proposed by the capital token's decimals, each alone or both", async () => {
    const next = await rehearse("capital", "propose", "--price", "0.03");
    expect(next).toMatchObject({
      title: "sale of shares: 0.02 → 0.03 TESTUSD a share at the least; unchanged 1 TESTUSD an epoch at the least",
      price: "30000",
      minimum: "1000000",
    });
    expect(next.call.words).toContain("for at least 30000 (0.03 with its decimals) of the smallest units");
    await accept(next);
    const then = await rehearse("capital", "propose", "--minimum", "250");
    expect(then).toMatchObject({
      title: "sale of shares: 1 → 250 TESTUSD an epoch at the least; unchanged 0.03 TESTUSD a share at the least",
      price: "30000",
      minimum: "250000000",
    });
    await accept(then);
    await pass(holders.world, 16);
    expect(await told("capital", "show", ...at())).toMatchObject({ price: "30000", minimum: "250000000" });
  });

  test.each([
    [["--price", "0.009"], /for less than 0\.01 TESTUSD, for ever: name a higher --price than 0\.009 TESTUSD\.$/],
    [["--price", "1e3"], /^An amount of TESTUSD is a number above 0 .*, not "1e3"\.$/],
    [["--price", `1${"0".repeat(23)}`], /^A share cannot cost more than 79228162514264337593543\.950335 TESTUSD\.$/],
    [["--minimum", "0"], /^An amount of TESTUSD is a number above 0/],
    [["--price", "0.02", "--minimum", "1"], /^All that is asked for is in force: name another value\.$/],
    [[], /^All that is asked for is in force: name another value\.$/],
  ])("%j is refused", async (flags, sentence) => {
    expect(await refused("capital", "propose", ...flags)).toEqual(refusal(1, sentence));
  });
});

test("terms that a token of many decimals has no room for are refused, and a minimum that sells nothing", () => {
  const token = { address: asAddress(addressOf("token")), symbol: "TOKEN", decimals: 18 };
  const book = { token: token.address, priceFloor: 1n, vault: token.address, held: 0n };
  const share = 10n ** 18n;
  const check = (price: bigint, minimum: bigint) => () => requireTerms({ price, minimum }, { book, token });
  expect(check(3n * share, 3n)).not.toThrow();
  expect(check(3n * share, 2n)).toThrow(/^An epoch must bring in from 0\.000000000000000003 TOKEN to .* name another/);
  expect(check(3n * share + 1n, 3n)).toThrow("An epoch must bring in from 0.000000000000000004 TOKEN to");
  expect(check(share, 2n ** 128n - 1n)).not.toThrow();
  expect(check(share, 2n ** 128n)).toThrow("An epoch must bring in from");
  expect(check(2n ** 96n - 1n, share)).not.toThrow();
  expect(check(2n ** 96n, share)).toThrow(/^A share cannot cost more than 79228162514\.\d+ TOKEN\.$/);
});

describe("caps of what maintainers approve", () => {
  test("are shown, and others proposed", async () => {
    expect(await told("code", "caps", ...at())).toMatchObject({ perAuthor: "0", perEpoch: "0", approved: "0" });
    const next = await rehearse("code", "caps", "--per-author", "10", "--per-epoch", "50.5");
    expect(next.title).toBe("grants by maintainers, an epoch: 0 → 10 shares for one author, 0 → 50.5 shares in all");
    expect(next.call.words).toContain("approve 10 shares an epoch for one author and 50.5 in all");
    await accept(next);
    const { stdout } = await cotrainHere(["code", "caps", ...at()]);
    expect(stdout).toMatch(
      /^for one author {2}10 shares an epoch\nin all {10}50\.5 shares an epoch\napproved {8}0 shares in epoch \d+\nmay be granted {2}[\d,]+ shares now, /,
    );
    expect((await rehearse("code", "caps", "--per-epoch", "20")).title).toBe(
      "grants by maintainers, an epoch: 50.5 → 20 shares in all; unchanged 10 shares for one author",
    );
    expect(await refused("code", "caps", "--per-author", "10")).toEqual(
      refusal(1, "All that is asked for is in force"),
    );
    expect(await refused("code", "caps", "--per-author", "-1")).toEqual(
      refusal(1, 'An amount of shares is a number with at most 18 decimals, such as 12.5, not "-1".'),
    );
  });
});

const commit = "5a".repeat(20);

interface Named {
  readonly id: Hex;
}
const approval = (...argv: readonly string[]) =>
  told<Proposed & Named>("code", "approve-by-vote", ...argv, ...at(), "--dry-run");

/** A grant, as somebody asks for it. */
async function grantFile(...more: readonly string[]): Promise<string> {
  const file = join(temporaryDirectory(), "grant.json");
  const about = ["--author", addressOf("ada"), "--repository", "https://example.org/tools.git", "--commit", commit];
  await told("code", "propose", file, ...at(), ...about, "--description", "It loads faster.", "--amount", "2", ...more);
  return file;
}

describe("a grant for code", () => {
  test("is approved by the holders where there are no maintainers, once for a commit unless that is meant", async () => {
    const file = await grantFile();
    const next = await rehearse("code", "approve-by-vote", file);
    expect(next.title).toBe(`grant for code: 2 shares to ${addressOf("ada")} for commit ${commit}`);
    expect(next.call.words).toContain(`paid 2 shares for commit ${commit} of "https://example.org/tools.git"`);
    await accept(next);
    expect(await told("code", "list", ...at())).toMatchObject([
      { commit, amount: "2000000000000000000", byVote: true },
    ]);
    expect(await refused("code", "approve-by-vote", file)).toEqual(
      refusal(1, /^Grant 0x\w{64} was approved before, in/),
    );
    const more = await grantFile("--cliff", "1h");
    expect(await refused("code", "approve-by-vote", more)).toEqual(refusal(1, "with --again it is granted once more."));
    const proposed = await propose("code", "approve-by-vote", more, "--again", "--reason", "It is worth twice.");
    const [listed] = await told<{ description: string }[]>("proposals", "list", ...at());
    expect(listed?.description).toContain(`${proposed.title}\n\nWhat it is: It loads faster.\n\nIt is worth twice.`);
  });

  test("that was written before maintainers came is put to the holders all the same, and no maintainer signs it", async () => {
    const file = await grantFile();
    await accept(await rehearse("maintainers", "propose", "--add", addressOf("ada")));
    const [{ since } = { since: 0 }] = (await told<Shown>("maintainers", "show", ...at())).coming;
    await holders.client.setNextBlockTimestamp({ timestamp: BigInt(since) });
    await holders.client.mine({ blocks: 1 });
    expect(await refused("code", "approve", file)).toEqual(
      refusal(
        1,
        `${file} was written before there were maintainers, but set 1 is in force, which cannot sign it: put it to the holders with "npx cotrain code approve-by-vote ${file}" (--again where its commit was granted before), or begin anew with another file.`,
      ),
    );
    const next = await approval(file);
    await accept(next);
    expect(await told("code", "list", ...at())).toMatchObject([{ id: next.id, byVote: true }]);
    // Of set 1 by now: who signed it is nothing to the holders, and what they approve has an id of its own.
    const later = await grantFile("--cliff", "1h");
    const signed = JSON.parse(readFileSync(later, "utf8")) as { grant: { setVersion: number }; signatures: Hex[] };
    expect(signed.grant.setVersion).toBe(1);
    signed.signatures.push(`0x${"11".repeat(64)}1b`);
    writeFileSync(later, JSON.stringify(signed));
    const again = await approval(later, "--again");
    await accept(again);
    expect(await told<Named[]>("code", "list", ...at())).toMatchObject([{}, { id: again.id }]);
    expect(await refused("code", "approve-by-vote", later, "--again")).toEqual(
      refusal(1, `Grant ${again.id} was approved before, in`),
    );
  });

  test("that a vote would approve too late, or that nobody wrote, is not proposed", async () => {
    const { client, world } = holders;
    const file = await grantFile("--within", "1h");
    const { governor } = await modelContractsOf(client, { addresses: world.contracts, modelId: world.modelId });
    const settings = await governorSettings(client, { governor });
    // A late quorum may lengthen the vote, and who queues and executes is given as long as the timelock's delay.
    const after = VOTING_PERIOD + Number(settings.votingDelay + settings.lateQuorumVoteExtension);
    const done = Number((await client.getBlock()).timestamp) + after + 2 * Number(settings.timelockDelay);
    const sentence = `and a vote on it may be carried out as late as ${timeText(done)}: begin anew with another file`;
    expect(await refused("code", "approve-by-vote", file)).toEqual(refusal(1, sentence));
    expect(await refused("code", "approve-by-vote", `${file}.none`)).toEqual(refusal(1, "There is no file"));
  });
});

describe("the poster", () => {
  const next = addressOf("zoe");

  test("is another from the proposal's execution on", async () => {
    const { client, world } = holders;
    const { contracts: addresses, runId } = world;
    const { poster: before } = await runOf(client, { addresses, runId });
    const proposed = await rehearse("poster", "propose", next);
    expect(proposed.title).toBe(`poster: ${formatAddress(before)} → ${next}`);
    expect(proposed.call.words).toBe(`RunRegistry lets ${next} alone post the heads of this run.`);
    await accept(proposed);
    expect(asAddress((await runOf(client, { addresses, runId })).poster)).toBe(asAddress(next));
    expect(await refused("poster", "propose", next)).toEqual(refusal(1, "All that is asked for is in force"));
  });

  test.each([["0x12"], [`0x${"0".repeat(40)}`], ["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD"]])(
    "%s names none",
    async (named) => {
      expect(await refused("poster", "propose", named)).toEqual(
        refusal(1, /^A poster is named by .*, not by "0x.*"\.$/),
      );
    },
  );
});

describe("the emission", () => {
  interface Budgets {
    readonly inForce: { readonly perEpoch: string; readonly bps: Record<string, number> };
    readonly next: { readonly perEpoch: string; readonly bps: Record<string, number> } | null;
    readonly yearlyCap: string;
  }
  const show = () => told<Budgets>("emission", "show", ...at());

  test("is shown, and another proposed, by shares and by parts", async () => {
    expect(await show()).toMatchObject({
      inForce: {
        perEpoch: "1000000000000000000000",
        bps: { compute: 7_000, code: 1_000, capital: 1_500, treasury: 500 },
      },
      next: null,
    });
    const next = await rehearse("emission", "propose", "--per-epoch", "999.5", "--capital", "20", "--treasury", "0");
    expect(next.title).toBe(
      "emission: 1,000 → 999.5 shares an epoch, 15% → 20% for capital, 5% → 0% for treasury; unchanged 70% for compute, 10% for code",
    );
    expect(next.call.words).toContain(": 1000 → 999.5 shares an epoch, 15% → 20% for capital, 5% → 0% for treasury.");
    await accept(next);
    const after = {
      perEpoch: "999500000000000000000",
      bps: { compute: 7_000, code: 1_000, capital: 2_000, treasury: 0 },
    };
    expect((await show()).next).toMatchObject(after);
    const shown = (await cotrainHere(["emission", "show", ...at()])).stdout;
    expect(shown).toMatch(/^for capital +20%, at most 199\.9 shares$/m);
    expect(shown.replaceAll(/\s+/g, " ")).toMatch(
      /an epoch at most 1,000 shares .* mints nothing, .* The treasury's part is minted when the holders vote to draw it\. $/,
    );
    // What is proposed next starts from there.
    expect((await rehearse("emission", "propose", "--compute", "65.25", "--code", "14.75")).title).toBe(
      "emission: 70% → 65.25% for compute, 10% → 14.75% for code; unchanged 999.5 shares an epoch, 20% for capital, 0% for treasury",
    );
    await pass(holders.world, 16);
    expect(await show()).toMatchObject({ inForce: after, next: null });
  });

  test.each([
    [["--capital", "10"], "compute 70%, code 10%, capital 10%, treasury 5% are 95%: give another part as well."],
    [["--capital", "20"], "compute 70%, code 10%, capital 20%, treasury 5% are 105%: give another part as well."],
    [["--capital", "15.001"], "--capital has at most two decimals, such as 12.25, not 15.001."],
    [["--capital", "101"], '--capital must be a number from 0 to 100, not "101".'],
    [["--per-epoch", "99999999999999999999"], /^The budget comes to .* shares a year, above the yearly cap of .*\.$/],
    [["--per-epoch", "1000"], "All that is asked for is in force: name another value."],
  ])("%j is refused", async (flags, sentence) => {
    expect(await refused("emission", "propose", ...flags)).toEqual(refusal(1, sentence));
  });
});

describe("what a proposal replaces", () => {
  test.each([
    [["capital", "propose", "--minimum", "101"], ["capital", "propose", "--price", "0.2"], "terms of the sale"],
    [
      ["emission", "propose", "--per-epoch", "500"],
      ["emission", "propose", "--capital", "10", "--treasury", "10"],
      "budgets",
    ],
    [["code", "caps", "--per-author", "10"], ["code", "caps", "--per-epoch", "50"], "caps"],
    [["propose", "innerSteps=12"], ["propose", "innerSteps=16"], "parameters"],
  ])("by %j is named where it was replaced since", async (first, then, what) => {
    const { proposal } = await propose(...first);
    const warning = new RegExp(
      String.raw`^It replaces number \d+ of the ${what}, and number \d+ is the newest: nobody can execute it;`,
    );
    const list = async (): Promise<string> =>
      (await cotrainHere(["proposals", "list", ...at()])).stdout.replaceAll(/\s+/g, " ");
    expect(await list()).not.toContain("nobody can execute it");
    await accept(await rehearse(...then));
    expect(await list()).toContain("nobody can execute it; it has to be proposed anew.");
    expect(await told("proposals", "list", ...at())).toMatchObject([{ stale: [expect.stringMatching(warning)] }]);
    await pass(holders.world, 2);
    const vote = await cotrainHere(["vote", proposal!.proposalId, "for", "--dry-run", ...at()]);
    expect(vote).toMatchObject({ code: 0, stderr: expect.stringContaining(` of the ${what}, and number `) });
    await pass(holders.world, 2 * VOTING_PERIOD);
    expect(await list()).not.toContain("nobody can execute it");
  });
});

const listed = () => told<readonly { readonly stale: readonly string[] }[]>("proposals", "list", ...at());

test("a bond of disputes that was set since is named, which no command proposes", async () => {
  const { client, world, wallets } = holders;
  const { contracts: addresses, modelId } = world;
  const { governor, timelock } = await modelContractsOf(client, { addresses, modelId });
  const { base, version: replaces } = await bondTerms(client, { addresses, modelId });
  const call = setDisputeBond.call({ addresses, modelId, replaces, base: 2n * base });
  const carryOut = async (account: Hex, { to, data }: { readonly to: Hex; readonly data: Hex }) => {
    await client.setBalance({ address: account, value: 10n ** 18n });
    await client.impersonateAccount({ address: account });
    await execute(client, account, { target: to, data });
  };
  const proposer = wallets["worker-1"]!;
  await carryOut(proposer, proposeToHolders.call({ governor, calls: [call], description: "twice as much", proposer }));
  expect(await listed()).toMatchObject([{ stale: [] }]);
  await carryOut(timelock, call);
  expect(await listed()).toMatchObject([{ stale: [expect.stringContaining("number 1 of the bonds of disputes")] }]);
});

/** The same run, as somebody else names it. */
const elsewhere = async (): Promise<string[]> => {
  const { world, client, state } = holders;
  const coordinator = await tellingCoordinator(world, client);
  const pins = ["--rpc", world.url, "--run", world.runId, "--deployment", layout(state).deployment];
  return ["--coordinator", coordinator, ...pins];
};

/** Commands of a page that propose numbers or words, as it has them; "…" stands for what is before it in its row. */
const proposalsOn = (page: string): string[][] =>
  readFileSync(join(root, page), "utf8")
    .split("\n")
    .flatMap((line) => {
      const about = /cotrain (emission|capital) /.exec(line)?.[1];
      const told = /(?:cotrain(?: emission| capital)?|…) propose((?: --[a-z-]+ \d[\d.]*(?!x)| \w+=\w+)+)/g;
      return [...line.matchAll(told)].map(([, flags = ""]) => [
        ...(about ? [about] : []),
        "propose",
        ...flags.trim().split(" "),
      ]);
    });

test.each([
  ["README.md", 2],
  ["docs/operations.md", 4],
  ["offchain/src/cli/commands/emission.ts", 2],
])("what %s has somebody propose can be proposed where nothing was changed yet", async (page, count) => {
  const all = proposalsOn(page);
  expect(all).toHaveLength(count);
  for (const argv of all)
    expect({ argv, ...(await rehearse(...argv)) }).toMatchObject({
      argv,
      title: expect.stringMatching(/→/),
      proposal: null,
    });
});

describe("of somebody else's run", () => {
  test.each([
    ["maintainers", "show"],
    ["validators", "show"],
    ["code", "caps"],
  ])("cotrain %s %s tells the same", async (...line) => {
    expect(await told(...line, ...(await elsewhere()))).toEqual(await told(...line, ...at()));
  });

  test.each<readonly string[]>([
    ["maintainers", "propose", "--add", addressOf("ada")],
    ["validators", "propose", "--threshold", "3"],
    ["capital", "propose", "--price", "0.03"],
    ["code", "caps", "--per-author", "10"],
    ["code", "approve-by-vote", "GRANT"],
    ["poster", "propose", addressOf("ada")],
    ["emission", "propose", "--per-epoch", "999"],
  ])("holders are proposed to by cotrain %s %s", async (...words) => {
    const line = await Promise.all(words.map(async (word) => (word === "GRANT" ? grantFile() : word)));
    const keys = join(holders.state, "keys");
    const wallet = ["--wallet", join(keys, "worker-1.json"), "--passphrase-file", join(keys, "passphrase")];
    const where = await elsewhere();
    const dear = verdictOf(await cotrainHere([...line, ...where, ...wallet, "--max-fee", "0.000001"]));
    expect(dear).toMatchObject({ code: 75, sentence: expect.stringContaining("--max-fee") });
    const { proposal } = await told<Proposed>(...line, ...where, ...wallet);
    expect(asAddress(proposal!.proposer)).toBe(holders.wallets["worker-1"]);
  });
});

describe("in plain words", () => {
  const one = addressOf("one");

  test.each([
    [["set inner steps to 48"], ["propose", "innerSteps=48"]],
    [
      ["set", "the", "inner", "steps", "to", "48", "and", "outer", "lr", "ppm", "to", "500001"],
      ["propose", "innerSteps=48", "outerLrPpm=500001"],
    ],
    [["sell at least at 0.03"], ["capital", "propose", "--price", "0.03"]],
    [[`Add a maintainer ${one}.`], ["maintainers", "propose", "--add", one]],
  ])("%j is what its command proposes", async (sentence, command) => {
    const { title, call } = await rehearse("propose", ...sentence);
    expect(title).not.toBe("");
    expect(await rehearse(...command)).toMatchObject({ title, call });
  });

  test("several are named at once, and who goes as who comes", () => {
    const [a, b] = ["one", "two"].map((name) => asAddress(accountOf(name).address)) as [Hex, Hex];
    const change = { add: [], remove: [a, b] };
    for (const text of [`remove maintainers ${a}, ${b}`, `remove the maintainers ${a} and ${b}`])
      expect(plainIntention(text)).toEqual({ of: "signers", role: "maintainers", change });
    // Beside its words of params a value has the unit that is shown there.
    for (const [text, word] of [
      ["set inner steps per round to 48", "innerSteps=48"],
      ["set the inner learning rate to 0.002", "innerLrPpb=2000000"],
      ["set outer momentum to 0.9", "outerMomentumPpm=900000"],
      ["set reference ÷ norm from which on a payload is clipped to 12.5%", "aggregatorBps=1250"],
      ["set stake that members need to 0.5", "minStake=500000000000000000"],
      ["set min stake to 5", "minStake=5"],
      ["set rule for who may join to stake", "admission=stake"],
    ] as const)
      expect(plainIntention(text)).toEqual({ of: "params", words: [word] });
    for (const text of ["sell at least at 0.5", "sell shares for 0.5", "sell a share at least for 0.5", "Sell at 0.5"])
      expect(plainIntention(text)).toEqual({ of: "sale", price: "0.5" });
  });

  test.each([
    [
      "set inner stepz to 48",
      'No run has a parameter "inner stepz": "npx cotrain params" shows all. Did you mean "inner steps"?',
    ],
    [
      "set inner steps to 48 and the rest",
      'It is not understood what "set inner steps to 48 and the rest" would change',
    ],
    [
      "set inner learning rate to 0.0020000001",
      'inner learning rate is a number with at most 9 decimals, as "npx cotrain params" shows it, not "0.0020000001".',
    ],
    ["set the inner learning rat to 0.002", 'Did you mean "inner learning rate"?'],
    ["add a maintainer", 'Which maintainer is missing: "add maintainer 0x…" names it by its address.'],
    ["add maintainer Alice", "A maintainer is named by its address of 0x and 40 hex digits"],
    ["pay Alice 5 dollars", '"npx cotrain treasury pay" is for that'],
    ["let another poster post", '"npx cotrain poster propose 0x…" is for that'],
    ["make it better", 'other decisions have commands of their own, which "npx cotrain --help" lists'],
  ])("%j is not guessed at", async (sentence, words) => {
    expect(await refused("propose", sentence, "--dry-run")).toEqual(refusal(1, words));
  });
});
