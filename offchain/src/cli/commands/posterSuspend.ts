import { isSuspended, organiserOf, runOf, suspendAsOrganiser } from "@cotrain/sdk/actions";
import { asAddress, asHead, type Hex } from "@cotrain/sdk/protocol";

import { formatAddress, UserError, wrap } from "../../base/index.ts";
import { namedWallet } from "../../run/index.ts";
import { hash, toggle } from "../../service/index.ts";
import { organisingAs } from "../announcing.ts";
import { defineCommand } from "../command.ts";
import { columnsOf } from "../output.ts";
import { atPlace, type PlaceFlags, requireEntries, signingOptions } from "../place.ts";
import { decidingAt, type DecidingPlace } from "../proposing.ts";

/** The head that shows why: the one that is named, else the newest. @throws UserError `HEAD_UNKNOWN` */
async function headOf({ reader, runId }: DecidingPlace, named: string | undefined) {
  const heads = await reader.headsSince(runId, 0);
  const head = named === undefined ? heads.at(-1) : heads.find((each) => each.head === asHead(named));
  if (head) return head;
  throw new UserError(
    "HEAD_UNKNOWN",
    `Run ${runId} has no head ${named ?? ""}: "npx cotrain checkpoint list" shows them.`,
  );
}

interface Flags extends PlaceFlags {
  readonly head?: string | undefined;
  readonly yes: boolean;
  readonly maxFee: number;
}

async function suspendAt(place: DecidingPlace, options: Flags) {
  const { connection, addresses, modelId, runId } = place;
  const [run, suspended] = await Promise.all([
    connection.call((client) => runOf(client, { addresses, runId })),
    connection.call((client) => isSuspended(client, { addresses, runId })),
  ]);
  const poster = asAddress(run.poster);
  const shown = { runId, poster, suspended, head: null as Hex | null, round: 0, transaction: null as Hex | null };
  if (suspended) return shown;
  const { head, round } = await headOf(place, options.head);
  const call = { addresses, runId, poster, head };
  if (!options.yes) {
    // What the contract would refuse whoever asks, as it does after bootstrap, is not said to be had.
    const account = await connection.call((client) => organiserOf(client, { addresses, modelId }));
    await connection.call((client) => suspendAsOrganiser.simulate(client, { ...call, account }));
    return { ...shown, head, round };
  }
  const [entry] = requireEntries(place, options);
  if (!entry) return { ...shown, head, round };
  const client = await organisingAs(place, entry, options);
  await suspendAsOrganiser.simulate(client, call);
  const { receipt } = await suspendAsOrganiser.sync(client, call);
  return { ...shown, suspended: true, head, round, transaction: receipt.transactionHash };
}

const UNTIL = 'Nothing is anchored until another poster follows ("npx cotrain poster propose --announce").';

function outcomeText({ poster, suspended, head, round, transaction }: Awaited<ReturnType<typeof suspendAt>>): string {
  const who = formatAddress(poster);
  if (transaction !== null) return `${who} is suspended as the poster, in ${transaction}. ${UNTIL}`;
  if (suspended) return `${who} is suspended as the poster already. ${UNTIL}`;
  return `Nothing was sent: --yes suspends ${who} as the poster at once, for the head ${head} of checkpoint ${round}. ${UNTIL}`;
}

/** `cotrain poster suspend`. */
export const posterSuspendCommand = defineCommand({
  name: "poster suspend",
  summary: "stop a run's poster at once, as the organiser of a model that is in its bootstrap",
  options: {
    ...signingOptions,
    head: hash({ value: "head", description: "the head that shows why (default: the newest)" }),
    yes: toggle({ description: "send it; without it, it is only said what that would be", default: false }),
  },
  examples: [
    ["npx cotrain poster suspend", "what that would be; sends nothing"],
    ["npx cotrain poster suspend --wallet organiser.json --passphrase-file pass --yes", "by the organiser's key"],
  ],
  notes: [
    "It needs no announcement, and the poster that follows does. Claims, votes and all else go on. After bootstrap a quorum of validators does this alone: npx cotrain suspend.",
  ],
  async run({ options, output }) {
    const own = await namedWallet(options);
    const done = await atPlace(options, own, async (at) => suspendAt(await decidingAt(at), options), undefined, {
      party: "organisers",
      ticking: true,
    });
    const { round: _, ...document } = done;
    output.result(document, wrap(outcomeText(done), columnsOf(process.stdout)));
  },
});
