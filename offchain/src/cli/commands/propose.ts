import { boundsOf, governorSettings, paramsOf, runOf, setParams } from "@cotrain/sdk/actions";
import {
  checkRunParams,
  type Parameter,
  parametersChange,
  type RunParams,
  runParameters,
  runParamsToWire,
} from "@cotrain/sdk/protocol";

import { type Clock, RetryableError, shortAddress, systemClock, timeText, UserError, wrap } from "../../base/index.ts";
import { namedWallet, wordsOfCall } from "../../run/index.ts";
import { didYouMean, text, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf } from "../output.ts";
import { atPlace, type Place, requireEntries, signingOptions, unpinnedNotice } from "../place.ts";
import {
  decidingAt,
  type DecidingPlace,
  proposerOf,
  putToHolders,
  type SentProposal,
  sentText,
  withVotes,
} from "../proposing.ts";
import { boundedText, type Cast, cast, castDocuments, castLines, type Voter, voterOf } from "../voting.ts";

const rows: readonly Parameter[] = runParameters;

/** Digits of the largest value of any parameter, a uint128. */
const valueForm = /^\d{1,39}$/;

/** The value that a word or number stands for. @throws UserError `PARAM_VALUE` */
function valueOf({ name, codes, type }: Parameter, value: string): number | bigint {
  const code = codes && Object.hasOwn(codes, value) ? codes[value] : undefined;
  if (code !== undefined) return code;
  if (valueForm.test(value)) return type === "uint128" ? BigInt(value) : Number(value);
  const words = codes
    ? `${Object.keys(codes).join(", ")}, or the number of one`
    : 'an integer, as "cotrain params --json" has it';
  throw new UserError("PARAM_VALUE", `${name} must be ${words}, not ${JSON.stringify(value.slice(0, 100))}.`);
}

/**
 * What the words of a command line change.
 * @throws UserError `PARAM_FORM`, `PARAM_UNKNOWN`, `PARAM_TWICE`, `PARAM_VALUE`
 */
export function changesOf(words: readonly string[]): Partial<RunParams> {
  const changes = new Map<string, number | bigint>();
  for (const word of words) {
    const at = word.indexOf("=");
    if (at < 1)
      throw new UserError(
        "PARAM_FORM",
        `A change is written name=value, such as innerSteps=48, not ${JSON.stringify(word.slice(0, 100))}.`,
      );
    const name = word.slice(0, at);
    const row = rows.find((each) => each.name === name);
    if (!row) {
      const near = didYouMean(
        name,
        rows.map((each) => each.name),
      );
      throw new UserError(
        "PARAM_UNKNOWN",
        `No run has a parameter ${JSON.stringify(name.slice(0, 100))}: "cotrain params" shows all.${near}`,
      );
    }
    if (changes.has(name)) throw new UserError("PARAM_TWICE", `${name} is given twice: give it one value.`);
    changes.set(name, valueOf(row, word.slice(at + 1)));
  }
  return Object.fromEntries(changes) as Partial<RunParams>;
}

/**
 * The parameters that a change would put in force.
 * @throws UserError `PARAMS_SAME` where it changes nothing; ProtocolError `INVALID_PARAMS` for what the run does not allow
 */
async function decisionOn(place: DecidingPlace, changes: Partial<RunParams>, reason: string | undefined) {
  const { connection, addresses, contracts, runId } = place;
  const { version: replaces, fragments } = await connection.call((client) => runOf(client, { addresses, runId }));
  const [before, bounds] = await Promise.all([
    connection.call((client) => paramsOf(client, { addresses, runId, version: replaces })),
    connection.call((client) => boundsOf(client, { addresses, runId })),
  ]);
  const params: RunParams = { ...before, ...changes };
  const title = parametersChange(before, params);
  if (title === "")
    throw new UserError("PARAMS_SAME", `All that is asked for is in force in run ${runId}: name another value.`);
  checkRunParams(params, fragments, bounds);
  const call = setParams.call({ addresses, runId, replaces, params });
  return {
    title,
    params,
    replaces,
    call,
    calls: [call],
    description: reason === undefined ? title : `${title}\n\n${reason}`,
    words: (await wordsOfCall(place, { target: call.to, value: 0n, data: call.data })).words,
    rehearse: () =>
      connection.call((client) =>
        setParams.simulate(client, { addresses, runId, replaces, params, account: contracts.timelock }),
      ),
  };
}

/** A command waits so long for a vote to begin, s. */
const LONGEST_DELAY = 60;
/** Between two looks at the chain's clock, ms. */
const LOOK_MS = 200;

/** @throws UserError `VOTE_LATER` where voting begins when nobody waits any more */
async function requireSoon({ connection, governor }: DecidingPlace): Promise<void> {
  const { votingDelay } = await connection.call((client) => governorSettings(client, { governor }));
  if (votingDelay > LONGEST_DELAY)
    throw new UserError(
      "VOTE_LATER",
      `Voting on a proposal begins ${votingDelay} s after it here: propose it without --vote, and vote then.`,
    );
}

/** The wallets of these that have votes, opened: a vote on the local chain is over in seconds. */
async function openVoters(place: DecidingPlace, entries: Place["entries"], fees: { readonly maxFee: number }) {
  await requireSoon(place);
  const voters: Voter[] = [];
  for (const { entry, votes } of await withVotes(place, entries))
    if (votes > 0n) voters.push(await voterOf(place, entry, fees));
  return voters;
}

/** All vote for what was just proposed. @throws RetryableError `VOTE_EARLY` where the chain's clock stands */
async function voteFor(
  { connection, governor }: DecidingPlace,
  { proposalId, voteStart }: SentProposal,
  voters: readonly Voter[],
  clock: Clock,
): Promise<Cast[]> {
  const until = clock.monotonic() + 2_000 * LONGEST_DELAY;
  while (Number((await connection.call((client) => client.getBlock())).timestamp) <= voteStart) {
    if (clock.monotonic() > until)
      throw new RetryableError(
        "VOTE_EARLY",
        `Proposal ${proposalId} was made, and its vote begins after ${timeText(voteStart)}, which the chain has not reached: vote with "cotrain vote" then.`,
      );
    await clock.sleep(LOOK_MS);
  }
  return Promise.all(voters.map((voter) => cast(voter, { governor, proposalId, support: "for" })));
}

/** `cotrain propose`. */
export const proposeCommand = defineCommand({
  name: "propose",
  summary: "propose to the holders that a run's parameters change",
  args: [{ name: "name=value", description: "a parameter and its new value, as params --json has it", several: true }],
  options: {
    ...signingOptions,
    reason: text({ description: "why, for those who vote: the proposal's text, behind what changes" }),
    vote: toggle({
      description: "vote for it with all wallets here as soon as voting begins, which is soon on a local chain",
      default: false,
    }),
    dryRun: toggle({ description: "check and simulate, and send nothing", default: false }),
  },
  examples: [
    ["npx cotrain propose innerSteps=48 --vote", "by the wallet of this directory that has the most votes"],
    ["npx cotrain propose weighting=uniform innerLrPpb=2000000 --dry-run", "what would be proposed"],
    [
      "npx cotrain propose innerSteps=96 --coordinator https://train.example.org --rpc https://rpc.example.org",
      "to the holders of somebody else's run, by this directory's worker",
    ],
  ],
  notes: [
    "Values are integers as params --json has them, or the words of a parameter that has words. What is not within the run's bounds is refused before anything is sent; what would be decided and the proposal itself are simulated. Of two accepted changes of one version the first that is executed holds.",
  ],
  async run({ args, options, output }) {
    const changes = changesOf(args);
    const reason = boundedText(options.reason);
    const own = await namedWallet(options);
    const { title, params, replaces, words, call, proposal, casts } = await atPlace(
      options,
      own,
      async (at) => {
        const place = await decidingAt(at);
        const decision = await decisionOn(place, changes, reason);
        const entries = options.dryRun ? [] : requireEntries(place, options);
        const proposer = await proposerOf(place, entries);
        const { maxFee } = options;
        const voters = options.vote ? await openVoters(place, entries, { maxFee }) : [];
        const proposal = await putToHolders(place, decision, proposer, { maxFee, output });
        const casts = proposal && options.vote ? await voteFor(place, proposal, voters, systemClock) : [];
        return { ...decision, proposal, casts };
      },
      unpinnedNotice(options, output),
      { ticking: true },
    );
    const columns = columnsOf(process.stdout);
    output.result(
      {
        title,
        params: runParamsToWire(params),
        replaces,
        call: { target: call.to, data: call.data, words },
        proposal: proposal ?? null,
        votes: castDocuments(casts),
      },
      [
        ...(proposal === undefined
          ? wrap(`Nothing was sent: ${title} could be proposed.`, columns)
          : wrap(`${shortAddress(proposal.proposer)} proposed ${title} ${sentText(proposal)}`, columns)),
        ...castLines(casts, "for"),
      ],
    );
  },
});
