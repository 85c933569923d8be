import { claim, claimed, delegate, delegateOf, sharesOf, votesOf } from "@cotrain/sdk/actions";
import { type Address, asAddress, type Hex } from "@cotrain/sdk/protocol";

import { type ChainConnection, openReader } from "../../chain/index.ts";
import { text, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { formatShares, shortHex } from "../format.ts";
import { type LocalRun, openLocalRun, withChain } from "../local.ts";
import { passphraseFileOption, stateOption, walletOption } from "../options.ts";
import { table } from "../output.ts";
import { ownerOf } from "../up/owners.ts";
import { namedWallet, openWallet, type Role } from "../up/wallets.ts";
import { readerOptions, rewardsOf } from "../wiring.ts";

interface Entry {
  readonly name: string;
  readonly account: Address;
}

/** Wallets of this state that can earn. */
const earners = (run: LocalRun): Entry[] =>
  Object.entries(run.file.wallets ?? {})
    .filter(([role]) => role.startsWith("worker-"))
    .map(([name, account]) => ({ name, account: asAddress(account) }));

async function standing(run: LocalRun, connection: ChainConnection, entry: Entry) {
  const { client } = connection;
  const { addresses } = run.deployment;
  const { modelId } = run;
  const reader = await openReader(readerOptions(connection.url, connection.chainId, run.deployment));
  const [reward, paid, shares] = await Promise.all([
    rewardsOf(run, reader, entry.account),
    claimed(client, { addresses, modelId, account: entry.account }),
    sharesOf(client, { addresses, modelId }),
  ]);
  const earned = reward?.cumulative ?? paid;
  return {
    ...entry,
    shares,
    earned,
    claimed: paid,
    claimable: earned - paid,
    proof: reward?.proof ?? [],
    votes: await votesOf(client, { shares, account: entry.account }),
  };
}

/** `cotrain rewards list`. */
export const rewardsListCommand = defineCommand({
  name: "rewards list",
  summary: "what wallets earned, claimed and can claim",
  options: { state: stateOption, account: text({ description: "only this address" }) },
  examples: [["npx cotrain rewards list", "the wallets of this directory"]],
  async run({ options, output }) {
    const run = await openLocalRun(options.state);
    const entries = options.account === undefined ? earners(run) : [{ name: "", account: asAddress(options.account) }];
    const rows = await withChain(run, (connection) =>
      Promise.all(entries.map((entry) => standing(run, connection, entry))),
    );
    output.result(
      rows.map(({ name, account, earned, claimed: paid, claimable, votes }) => ({
        name,
        account,
        earned,
        claimed: paid,
        claimable,
        votes,
      })),
      table(
        [
          ["wallet", "", "earned", "claimed", "claimable", "votes"],
          ...rows.map((row) => [
            row.name,
            shortHex(row.account),
            formatShares(row.earned),
            formatShares(row.claimed),
            formatShares(row.claimable),
            formatShares(row.votes),
          ]),
        ],
        [2, 3, 4, 5],
      ),
    );
  },
});

/** `cotrain rewards claim`. */
export const rewardsClaimCommand = defineCommand({
  name: "rewards claim",
  summary: "claim what was earned; each wallet pays its own gas",
  options: {
    state: stateOption,
    wallet: walletOption,
    passphraseFile: passphraseFileOption,
    delegate: toggle({
      description: "take up the votes too, by delegating to oneself, unless delegated already",
      default: true,
    }),
  },
  examples: [
    ["npx cotrain rewards claim", "for every worker's wallet of this directory"],
    ["npx cotrain rewards claim --wallet me.json --passphrase-file pass", "for one wallet"],
  ],
  async run({ options, output }) {
    const own = await namedWallet(options);
    const run = await openLocalRun(options.state);
    const entries: Entry[] = own ? [{ name: "wallet", account: asAddress(own.address) }] : earners(run);
    const claims = await withChain(run, async (connection) => {
      const { addresses } = run.deployment;
      const made: { name: string; account: Address; amount: bigint; transaction: Hex | null }[] = [];
      for (const entry of entries) {
        const { claimable, earned, proof, shares } = await standing(run, connection, entry);
        let transaction: Hex | null = null;
        if (claimable > 0n) {
          const { client } = ownerOf(
            entry.name,
            connection.url,
            own ?? (await openWallet(run.state, entry.name as Role)),
          );
          const { receipt } = await claim.sync(client, {
            addresses,
            modelId: run.modelId,
            beneficiary: entry.account,
            cumulative: earned,
            proof,
          });
          transaction = receipt.transactionHash;
          if (options.delegate && BigInt(await delegateOf(client, { shares, account: entry.account })) === 0n)
            await delegate.sync(client, { shares, delegatee: entry.account });
        }
        made.push({ name: entry.name, account: entry.account, amount: claimable, transaction });
      }
      return made;
    });
    output.result(
      claims,
      claims.map(({ name, account, amount, transaction }) =>
        transaction
          ? `${name} ${shortHex(account)} claimed ${formatShares(amount)} shares in ${transaction}`
          : `${name} ${shortHex(account)} has nothing to claim`,
      ),
    );
  },
});
