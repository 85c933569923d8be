import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

import { claim, claimed, delegate, delegateOf, sharesOf, votesOf } from "@cotrain/sdk/actions";
import {
  type Address,
  asAddress,
  type ContractAddresses,
  type Hex,
  type ModelId,
  type RunId,
} from "@cotrain/sdk/protocol";
import type { PrivateKeyAccount } from "viem/accounts";

import { UserError, formatAddress, formatShares, shortAddress, wrap, weiOf } from "../../base/index.ts";
import {
  type ChainConnection,
  type ChainReader,
  connect,
  createReader,
  DEVELOPMENT_CHAIN_ID,
  developmentChain,
  requestFunds,
  walletOn,
} from "../../chain/index.ts";
import {
  UNPAID_EPOCHS,
  type UnpaidWork,
  type LocalRun,
  openLocalRun,
  requireRun,
  withChain,
  workOn,
  namedRunOptions,
  maxFeeOption,
  passphraseFileOption,
  walletOption,
  namedWallet,
  openWallet,
  type ActiveRewards,
  activeRewards,
  blobSourceOf,
  isWorkerRole,
  openRemoteRun,
  readerOptions,
  requireNamedDeployment,
} from "../../run/index.ts";
import { account as accountOption, integer, openKeystore, text, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, table } from "../output.ts";
import { MOST_EPOCHS, restText, shownUnpaid, unpaidLines } from "../unpaid.ts";

/** Where rewards are looked up: this directory's run, or somebody else's behind a coordinator. */
const placeOptions = {
  ...namedRunOptions,
  state: text({
    value: "directory",
    description:
      "directory of the local state, or with --coordinator of the worker (default: .cotrain, .cotrain-worker)",
  }),
};

interface PlaceFlags {
  readonly state?: string | undefined;
  readonly coordinator?: string | undefined;
  readonly rpc?: string | undefined;
  readonly run?: string | undefined;
  readonly deployment?: string | undefined;
}

/** A wallet that can earn; its key is asked for when it is used. */
interface Entry {
  readonly name: string;
  readonly account: Address;
  readonly open: () => Promise<PrivateKeyAccount>;
}

interface Place {
  readonly connection: ChainConnection;
  readonly modelId: ModelId;
  readonly addresses: ContractAddresses;
  readonly rewards: ActiveRewards | undefined;
  /** Whether rounds were anchored that no active root pays yet. */
  readonly unsettled: boolean;
  /** Wallets whose keys are here. */
  readonly entries: readonly Entry[];
}

const entryOf = (account: PrivateKeyAccount): Entry => ({
  name: "wallet",
  account: asAddress(account.address),
  open: async () => account,
});

/** Wallets of this state that can earn. */
const earners = (run: LocalRun): Entry[] =>
  Object.entries(run.file.wallets ?? {}).flatMap(([name, account]) =>
    isWorkerRole(name) ? [{ name, account: asAddress(account), open: () => openWallet(run.state, name) }] : [],
  );

/** Whether there are heads that the active root does not cover: for the sake of a hint no command asks much, or fails. */
async function isUnsettled(reader: ChainReader, runId: RunId, rewards: ActiveRewards | undefined): Promise<boolean> {
  const last = await reader.head(runId).catch(() => undefined);
  if (!last || last.round === 0) return false;
  return rewards === undefined || (rewards.through.runId === runId && rewards.through.head !== last.head);
}

const workerKeystore = (state: string) => ({
  keystore: join(state, "wallet.json"),
  passphrase: join(state, "passphrase"),
});

/**
 * Runs `work` at the place that the flags name.
 * @param own the wallet that they name, instead of the directory's
 * @param unpinned called where the contracts are the coordinator's word alone, before the chain is asked anything
 */
async function atPlace<T>(
  flags: PlaceFlags,
  own: PrivateKeyAccount | undefined,
  work: (place: Place) => Promise<T>,
  unpinned?: () => void,
): Promise<T> {
  const { coordinator, rpc, run: named, deployment } = flags;
  const ownEntries = own && [entryOf(own)];
  if (coordinator !== undefined) {
    if (rpc === undefined)
      throw new UserError("RPC_MISSING", "--coordinator needs --rpc: what is paid is read from the chain itself.");
    const state = resolve(flags.state ?? ".cotrain-worker");
    const keystore = workerKeystore(state);
    const entries = ownEntries ?? (existsSync(keystore.keystore) ? [entryOf(await openKeystore(keystore))] : []);
    const { client, runId, chainId, contracts, fromBlock, pinned } = await openRemoteRun({
      coordinator,
      run: named,
      deployment,
    });
    if (!pinned) unpinned?.();
    return workOn(await connect({ rpcUrl: rpc, chainId }), async (connection) => {
      const reader = createReader(connection, { contracts, fromBlock });
      // The model is the one of the run's record on-chain, whatever the coordinator says.
      const { modelId } = await reader.run(runId);
      const rewards = await activeRewards(modelId, client, reader);
      const unsettled = await isUnsettled(reader, runId, rewards);
      return work({ connection, modelId, addresses: contracts, rewards, unsettled, entries });
    });
  }
  const state = resolve(flags.state ?? ".cotrain");
  if (existsSync(workerKeystore(state).keystore) && !existsSync(join(state, "run.json")))
    throw new UserError(
      "COORDINATOR_MISSING",
      `${state} belongs to a worker of somebody else's run: name its coordinator and chain with --coordinator and --rpc.`,
    );
  const run = await openLocalRun(state);
  requireRun(run, named);
  await requireNamedDeployment(run, deployment);
  return withChain(
    run,
    async (connection) => {
      const { modelId, deployment: own } = run;
      const reader = createReader(connection, readerOptions(connection.url, connection.chainId, own));
      const rewards = await activeRewards(modelId, blobSourceOf(run.blobs), reader);
      const entries = ownEntries ?? earners(run);
      const unsettled = await isUnsettled(reader, run.runId, rewards);
      return work({ connection, modelId, addresses: own.addresses, rewards, unsettled, entries });
    },
    rpc,
  );
}

async function standing({ connection, modelId, addresses, rewards }: Place, account: Address) {
  const { client } = connection;
  const [paid, shares] = await Promise.all([
    claimed(client, { addresses, modelId, account }),
    sharesOf(client, { addresses, modelId }),
  ]);
  const reward = rewards?.of(account);
  const earned = reward?.cumulative ?? paid;
  return {
    account,
    shares,
    earned,
    claimed: paid,
    claimable: earned - paid,
    proof: reward?.proof ?? [],
    votes: await votesOf(client, { shares, account }),
  };
}

/** This directory's wallets first, then everyone else whom the active root pays or whose work earned nothing. */
function listed({ entries, rewards }: Place, unpaid: readonly UnpaidWork[]): Address[] {
  const others = [...(rewards?.accounts ?? []), ...unpaid.map(({ account }) => account)];
  return [...new Set([...entries.map(({ account }) => account), ...others])];
}

const unsettledText =
  "The newest rounds are not settled yet: what they earned is here once their epoch is, for a run at rest after its next start.";

/** Accounts asked about at a time: an RPC takes no thousands of requests at once. */
const ASKED_AT_ONCE = 16;

/** `cotrain rewards list`. */
export const rewardsListCommand = defineCommand({
  name: "rewards list",
  summary: "what wallets earned, claimed and can claim",
  options: {
    ...placeOptions,
    account: accountOption({ description: "only this address" }),
    epochs: integer(1, MOST_EPOCHS, {
      description: "newest epochs in which is looked for work that earned nothing",
      default: UNPAID_EPOCHS,
    }),
  },
  examples: [
    ["npx cotrain rewards list", "everyone whom the run of this directory pays"],
    [
      "npx cotrain rewards list --coordinator https://train.example.org --rpc https://rpc.example.org",
      "everyone whom somebody else's run pays, this directory's worker among them",
    ],
  ],
  async run({ options, output }) {
    const only = options.account;
    const { rows, unpaid, rest, names, unsettled } = await atPlace(options, undefined, async (place) => {
      const names = new Map<string, string>(place.entries.map(({ name, account }) => [account, name]));
      const { works, rest } = (await place.rewards?.unpaid(options.epochs)) ?? { works: [], rest: "none" as const };
      const unpaid = works.filter(({ account }) => only === undefined || account === only);
      const accounts = only === undefined ? listed(place, unpaid) : [only];
      const found: ({ readonly name: string } & Awaited<ReturnType<typeof standing>>)[] = [];
      for (let at = 0; at < accounts.length; at += ASKED_AT_ONCE) {
        const some = accounts.slice(at, at + ASKED_AT_ONCE);
        for (const each of await Promise.all(some.map((account) => standing(place, account))))
          found.push({ name: names.get(each.account) ?? "elsewhere", ...each });
      }
      return { rows: found, unpaid, rest, names, unsettled: place.unsettled };
    });
    output.result(
      rows.map(({ name, account, earned, claimed: paid, claimable, votes }) => ({
        name,
        account: formatAddress(account),
        earned,
        claimed: paid,
        claimable,
        votes,
        unpaid: unpaid
          .filter((work) => work.account === account)
          .map(({ epoch, round, worker, tokens, reason }) => ({ epoch, round, worker, tokens, reason })),
      })),
      [
        ...table(
          [
            ["wallet", "", "earned", "claimed", "claimable", "votes"],
            ...rows.map((row) => [
              row.name,
              shortAddress(row.account),
              ...[row.earned, row.claimed, row.claimable, row.votes].map(formatShares),
            ]),
          ],
          [2, 3, 4, 5],
        ),
        ...shownUnpaid(
          unpaidLines(unpaid, (account) => names.get(account)),
          columnsOf(process.stdout),
        ),
        ...wrap(restText(rest, options.epochs), columnsOf(process.stdout)),
        ...(unsettled ? wrap(unsettledText, columnsOf(process.stdout)) : []),
      ],
    );
  },
});

/** Coins below which a wallet on the local chain gets some, in wei: a claim costs a hundredth of it. */
const LOCAL_LEAST = 10n ** 17n;

/** Fees on the local chain are play money, for whoever joined too. */
async function fundLocally({ client, chainId, url }: ChainConnection, account: Address): Promise<void> {
  if (chainId !== DEVELOPMENT_CHAIN_ID || (await client.getBalance({ address: account })) >= LOCAL_LEAST) return;
  // The embedded chain's door gives some; a node that somebody runs himself is told to. Where neither will, the claim itself
  // says who cannot pay.
  await requestFunds(url, account)
    .catch(() => developmentChain(url).fund([account]))
    .catch(() => undefined);
}

/** `cotrain rewards claim`. */
export const rewardsClaimCommand = defineCommand({
  name: "rewards claim",
  summary: "claim what was earned; each wallet pays its own gas",
  options: {
    ...placeOptions,
    wallet: walletOption,
    passphraseFile: passphraseFileOption,
    maxFee: {
      ...maxFeeOption,
      description:
        "coins that the fees of one transaction may take, a quarter of them as its tip; a dearer one is not sent (exit code 75)",
    },
    delegate: toggle({
      description: "take up the votes too, by delegating to oneself, unless delegated already",
      default: true,
    }),
  },
  examples: [
    ["npx cotrain rewards claim", "for every worker's wallet of this directory"],
    ["npx cotrain rewards claim --wallet me.json --passphrase-file pass", "for one wallet"],
    [
      "npx cotrain rewards claim --coordinator https://train.example.org --rpc https://rpc.example.org",
      "for this directory's worker in somebody else's run",
    ],
  ],
  notes: [
    "With --coordinator the contracts are its word alone unless --deployment pins them: the wallet pays the gas of whatever they",
    "do, up to --max-fee a transaction; no coins are sent along.",
  ],
  async run({ options, output }) {
    const own = await namedWallet(options);
    const warn = (): void => {
      if (!output.json)
        output.notice(
          `The contracts are the coordinator's word alone, and the wallet pays for what they do, up to ${options.maxFee} coins a transaction: pin them with --deployment${options.run === undefined ? " and --run" : ""}.`,
        );
    };
    const { claims, unsettled } = await atPlace(
      options,
      own,
      async (place) => {
        const { connection, addresses, modelId, entries } = place;
        if (entries.length === 0)
          throw new UserError(
            "WALLET_MISSING",
            `${resolve(options.state ?? ".cotrain-worker")} holds no worker's wallet: name its directory with --state, or a keystore with --wallet and --passphrase-file.`,
          );
        const made: { name: string; account: Address; amount: bigint; transaction: Hex | null }[] = [];
        for (const { name, account, open } of entries) {
          const { claimable, earned, proof, shares } = await standing(place, account);
          let transaction: Hex | null = null;
          if (claimable > 0n) {
            await fundLocally(connection, account);
            const client = walletOn({ ...connection, maxFee: weiOf(options.maxFee) }, await open());
            const { receipt } = await claim.sync(client, {
              addresses,
              modelId,
              beneficiary: account,
              cumulative: earned,
              proof,
            });
            transaction = receipt.transactionHash;
            if (options.delegate && BigInt(await delegateOf(client, { shares, account })) === 0n)
              await delegate.sync(client, { shares, delegatee: account });
          }
          made.push({ name, account: formatAddress(account), amount: claimable, transaction });
        }
        return { claims: made, unsettled: place.unsettled };
      },
      warn,
    );
    output.result(claims, [
      ...claims.map(({ name, account, amount, transaction }) =>
        transaction
          ? `${name} ${shortAddress(account)} claimed ${formatShares(amount)} shares in ${transaction}`
          : `${name} ${shortAddress(account)} has nothing to claim`,
      ),
      ...(unsettled ? wrap(unsettledText, columnsOf(process.stdout)) : []),
    ]);
  },
});
