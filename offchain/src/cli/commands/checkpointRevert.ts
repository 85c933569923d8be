import { announcedRollback, announceRollback, organiserOf, rollback } from "@cotrain/sdk/actions";
import { encodeAbiParameters, keccak256 } from "viem";

import { formatAddress, timeText, UserError, wrap } from "../../base/index.ts";
import { namedWallet } from "../../run/index.ts";
import { toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf } from "../output.ts";
import { atPlace, requireEntries, signingAs, signingOptions } from "../place.ts";
import { decidingAt, type DecidingPlace } from "../proposing.ts";
import { roundOf, targetOf } from "../rollbackTarget.ts";

type Target = Awaited<ReturnType<typeof targetOf>>;

/** What an announcement is kept as by the contract. */
const announcementOf = ({ currentHead, round, checkpointDigest }: Target) =>
  keccak256(
    encodeAbiParameters(
      [{ type: "bytes32" }, { type: "uint64" }, { type: "bytes32" }],
      [currentHead, round, checkpointDigest],
    ),
  );

/** What the organiser can do about it now. */
async function stepOf({ connection, addresses, runId }: DecidingPlace, target: Target) {
  const [announced, { timestamp }] = await Promise.all([
    connection.call((client) => announcedRollback(client, { addresses, runId })),
    connection.call((client) => client.getBlock()),
  ]);
  if (announced?.digest !== announcementOf(target)) return { step: "announce", readyAt: null } as const;
  const { readyAt } = announced;
  return { step: timestamp < readyAt ? "wait" : "carryOut", readyAt } as const;
}

const sentences = {
  announce: "announces, and can carry out a window later by the same command unless another head follows,",
  wait: "has announced",
  carryOut: "carries out, as announced,",
} as const;

/** `cotrain checkpoint revert`. */
export const checkpointRevertCommand = defineCommand({
  name: "checkpoint revert",
  summary:
    "roll a run back as the model's organiser, who may while it is in its bootstrap: announced first, then carried out",
  args: [{ name: "round", description: "completed rounds of the checkpoint, as checkpoint list shows it" }],
  options: {
    ...signingOptions,
    yes: toggle({ description: "send it; without it, it is only said what that would be", default: false }),
  },
  examples: [
    ["npx cotrain checkpoint revert 12", "says what that would be; sends nothing"],
    [
      "npx cotrain checkpoint revert 12 --wallet organiser.json --passphrase-file pass --yes",
      "announces it by the organiser's key, and carries it out when it is sent again a window later",
    ],
  ],
  notes: [
    "It is bound to the newest head: once another follows, it must be announced anew. Have validators suspend the poster first (cotrain suspend), so that none does.",
    "After the bootstrap it is the holders' to decide: npx cotrain checkpoint rollback.",
  ],
  async run({ args: [named = ""], options, output }) {
    const round = roundOf(named);
    const own = await namedWallet(options);
    const done = await atPlace(
      options,
      own,
      async (at) => {
        const place = await decidingAt(at);
        const target = await targetOf(place, round);
        const { step, readyAt } = await stepOf(place, target);
        const [entry] = requireEntries(place, options);
        const when = step === "wait" ? `; it can be carried out from ${timeText(readyAt)} on, by this command` : "";
        const text = `${entry === undefined ? "The organiser" : formatAddress(entry.account)} ${sentences[step]} the rollback ${target.words}${when}.`;
        const nothing = { step, readyAt, text, account: entry?.account ?? null, transaction: null };
        const { connection, addresses, modelId, runId } = place;
        const { currentHead, checkpointDigest } = target;
        const call = { addresses, runId, currentHead, round: target.round, checkpointDigest };
        const action = step === "announce" ? announceRollback : rollback;
        if (step !== "wait" && (!options.yes || !entry)) {
          // What the contract would refuse whoever asks, as it does after bootstrap, is not said to be had.
          const account = await connection.call((client) => organiserOf(client, { addresses, modelId }));
          await connection.call(async (client) => void (await action.simulate(client, { ...call, account })));
        }
        if (!options.yes || !entry || step === "wait") return nothing;
        if (!place.pinned)
          throw new UserError(
            "ROLLBACK_UNPINNED",
            "Which run that is is the coordinator's word alone: name the run with --run and its contracts with --deployment.",
          );
        const client = await signingAs(place, entry, options);
        await action.simulate(client, call);
        const { receipt } = await action.sync(client, call);
        const after = await stepOf(place, target);
        return {
          ...nothing,
          readyAt: step === "announce" ? after.readyAt : readyAt,
          transaction: receipt.transactionHash,
        };
      },
      undefined,
      { party: "organisers", ticking: true },
    );
    const { step, readyAt, text, account, transaction } = done;
    const columns = columnsOf(process.stdout);
    const sent =
      step === "announce" && readyAt !== null
        ? `It was announced in ${transaction}, and can be carried out from ${timeText(readyAt)} on.`
        : `The run was taken back in ${transaction}.`;
    const unsent = step === "wait" ? [] : ["Nothing was sent: --yes sends it."];
    output.result({ round, step, readyAt, account, transaction }, [
      ...wrap(text, columns),
      ...(transaction === null ? unsent : wrap(sent, columns)),
    ]);
  },
});
