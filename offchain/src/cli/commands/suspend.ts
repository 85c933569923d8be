import { suspendPoster } from "@cotrain/sdk/actions";
import { asHead } from "@cotrain/sdk/protocol";

import { systemClock, timeText, UserError, wrap } from "../../base/index.ts";
import {
  beginSuspension,
  namedWallet,
  readSuspension,
  type Suspension,
  type SuspensionFacts,
  suspensionFacts,
  writeSuspension,
} from "../../run/index.ts";
import { duration, hash, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, factTable } from "../output.ts";
import { atPlace, type Place, signingOptions, validatorStateOption } from "../place.ts";
import { type Passed, passedText, passOn, type Quorum, requirePinned, signedRow } from "../quorum.ts";
import { outlines } from "./outlines.ts";

const DAY = 86_400_000;

/** What is signed, and by how many. */
function factsOf({ struct, head, signatures }: Suspension, { threshold }: SuspensionFacts): string[] {
  return factTable(
    [
      ["run", struct.runId],
      ["poster", struct.poster],
      ["head", `${struct.head} of checkpoint ${head.round}, anchored in ${head.transaction}`],
      ["until", timeText(Number(struct.deadline))],
      signedRow({ signatures }, threshold),
    ],
    columnsOf(process.stdout),
  );
}

/** Who signs and sends it. */
const quorumOf = ({ addresses }: Place, { validators, threshold }: SuspensionFacts): Quorum<"Suspend", Suspension> => ({
  name: "Suspend",
  signer: "validator",
  wallets: "a validator's directory with --state, or its keystore",
  members: validators,
  threshold,
  write: writeSuspension,
  send: async (client, { struct }, signatures) => {
    const call = { addresses, suspension: struct, signatures };
    await suspendPoster.simulate(client, call);
    const { receipt, event } = await suspendPoster.sync(client, call);
    return event ? receipt.transactionHash : null;
  },
});

/** The suspension that a file or the flags name, held against the chain. @throws UserError `SUSPENSION_OTHER` */
async function suspensionOf(
  file: string,
  facts: SuspensionFacts,
  options: { readonly head?: string | undefined; readonly within: number },
): Promise<Suspension> {
  const head = options.head === undefined ? undefined : asHead(options.head);
  const found = await readSuspension(file, facts);
  if (found && head !== undefined && found.struct.head !== head)
    throw new UserError(
      "SUSPENSION_OTHER",
      `${file} is for the head ${found.struct.head}: leave --head out, or name another file.`,
    );
  return found ?? beginSuspension(facts, head, Math.floor(options.within / 1_000));
}

const UNTIL = "Nothing is anchored until the holders name another poster.";

/** @param passed undefined where the poster was suspended before */
function outcomeText(file: string, { poster, threshold }: SuspensionFacts, passed: Passed<Suspension> | undefined) {
  if (passed?.kind === "sent" && passed.transaction !== null)
    return `${poster} is suspended as the poster, in ${passed.transaction}. ${UNTIL}`;
  if (!passed || passed.kind === "sent") return `${poster} is suspended as the poster already. ${UNTIL}`;
  const text = passedText(file, passed, { signer: "validator", threshold }, ": then the run trains no more");
  return passed.kind === "shown" ? `${text} ${UNTIL}` : text;
}

/** `cotrain suspend`. */
export const suspendCommand = defineCommand({
  ...outlines.suspend,
  options: {
    ...signingOptions,
    state: validatorStateOption,
    head: hash({ value: "head", description: "of a new suspension: the head that shows why (default: the newest)" }),
    within: duration({ description: "of a new suspension: how long it may be used", default: DAY }),
    yes: toggle({ description: "sign it, and send it where that completes the quorum", default: false }),
  },
  examples: [
    ["npx cotrain suspend stop.json", "what every validator of this directory's run would sign"],
    [
      `npx cotrain suspend stop.json --yes --run 0x${"a9".repeat(32)} --deployment deployments/8453.json --rpc https://rpc.example.org`,
      "by this directory's validator of somebody else's run, whose coordinator is not asked",
    ],
  ],
  notes: [
    "Without --yes it shows what would be signed. With it each validator adds a signature to the file; who completes the quorum sends it. The poster then posts no more heads until the holders name another; claims, votes and all else go on. Look yourself before you sign: npx cotrain verify says which heads do not hold.",
  ],
  async run({ options, args, output }) {
    const [file = ""] = args;
    const own = await namedWallet(options);
    const { facts, passed } = await atPlace(
      options,
      own,
      async (place) => {
        // A suspect that says which run and contracts are meant has validators stop another.
        requirePinned(place);
        const facts = await suspensionFacts(place.reader, place.runId, systemClock);
        if (facts.suspended) return { facts };
        const begun = await suspensionOf(file, facts, options);
        return { facts, passed: await passOn(place, file, begun, quorumOf(place, facts), options) };
      },
      undefined,
      { party: "validators" },
    );
    const suspension = passed?.statement;
    output.result(
      {
        file,
        runId: facts.runId,
        poster: facts.poster,
        suspended: !passed || passed.kind === "sent",
        transaction: passed?.kind === "sent" ? passed.transaction : null,
        head: suspension?.struct.head ?? null,
        deadline: suspension?.struct.deadline ?? null,
        signers: [...(suspension?.signatures.keys() ?? [])],
        threshold: facts.threshold,
      },
      [
        ...(suspension ? factsOf(suspension, facts) : []),
        ...wrap(outcomeText(file, facts, passed), columnsOf(process.stdout)),
      ],
    );
  },
});
