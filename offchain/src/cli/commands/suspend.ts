import { suspendPoster } from "@cotrain/sdk/actions";
import { type Address, asHead, type Hex, typedDataOf } from "@cotrain/sdk/protocol";

import { countOf, roundNumber, systemClock, timeText, UserError, wrap } from "../../base/index.ts";
import {
  beginSuspension,
  namedWallet,
  readSuspension,
  type Suspension,
  type SuspensionFacts,
  suspensionFacts,
  withSignature,
  writeSuspension,
} from "../../run/index.ts";
import { duration, hash, text, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, factTable } from "../output.ts";
import { atPlace, type Place, signingAs, signingOptions } from "../place.ts";

const DAY = 86_400_000;

/** What is signed, and by how many. */
function factsOf({ struct, head, signatures }: Suspension, { threshold }: SuspensionFacts): string[] {
  return factTable(
    [
      ["run", struct.runId],
      ["poster", struct.poster],
      ["head", `${struct.head} of round ${roundNumber(head.round)}, anchored in ${head.transaction}`],
      ["until", timeText(Number(struct.deadline))],
      ["signed", `by ${signatures.size} of the ${threshold} validators that it takes`],
    ],
    columnsOf(process.stdout),
  );
}

/** Wallets of the place that are a validator's and have not signed. */
const signersOf = ({ entries }: Place, { signatures }: Suspension, { validators }: SuspensionFacts) =>
  entries.filter(({ account }) => validators.includes(account) && !signatures.has(account));

/** All of them sign. */
async function signedBy(place: Place, begun: Suspension, facts: SuspensionFacts): Promise<Suspension> {
  let suspension = begun;
  for (const { account, open } of signersOf(place, begun, facts)) {
    const data = typedDataOf(suspension.domain, "Suspend", suspension.struct);
    const signature = await (await open()).signTypedData(data);
    suspension = withSignature(suspension, account, signature.toLowerCase() as Hex);
  }
  return suspension;
}

/** A suspect that says which run and contracts are meant has validators stop another. @throws UserError `SUSPENSION_UNPINNED` */
function requirePinned({ pinned }: Place): void {
  if (pinned) return;
  throw new UserError(
    "SUSPENSION_UNPINNED",
    "A coordinator that may be suspended does not say what is signed: name the run with --run and its contracts with --deployment.",
  );
}

/** Who neither signs nor sends has the wrong wallets, or has done his part. @throws UserError `NOT_VALIDATOR`, `SUSPENSION_SIGNED` */
function requireUse({ entries }: Place, before: Suspension, { validators, threshold }: SuspensionFacts): void {
  const missing = threshold - before.signatures.size;
  const members = entries.map(({ account }) => account).filter((account) => validators.includes(account));
  if (members.some((account) => !before.signatures.has(account)) || (missing <= 0 && entries.length > 0)) return;
  if (members.length > 0)
    throw new UserError(
      "SUSPENSION_SIGNED",
      `${members.join(", ")} signed it before, and it takes ${missing} more of the set: hand the file to another validator.`,
    );
  throw new UserError(
    "NOT_VALIDATOR",
    "No wallet here is in the set of validators in force: name a validator's directory with --state, or its keystore with --wallet and --passphrase-file.",
  );
}

/** @returns the transaction; null where somebody else's was first */
async function send(
  place: Place,
  { struct, signatures }: Suspension,
  options: { readonly maxFee: number },
): Promise<Hex | null> {
  const [sender] = place.entries;
  if (!sender) return null;
  const client = await signingAs(place, sender, options);
  const call = { addresses: place.addresses, suspension: struct, signatures: [...signatures.values()] };
  await suspendPoster.simulate(client, call);
  const { receipt, event } = await suspendPoster.sync(client, call);
  return event ? receipt.transactionHash : null;
}

interface Outcome {
  readonly suspended: boolean;
  readonly transaction: Hex | null;
  readonly poster: Address;
  readonly suspension?: Suspension;
  readonly facts: SuspensionFacts;
  /** Wallets that would sign, where nobody has said --yes. */
  readonly signers?: number;
}

function outcomeText(file: string, outcome: Outcome): string {
  const { suspended, transaction, poster, suspension, facts, signers } = outcome;
  const until = "Nothing is anchored until the holders name another poster.";
  if (transaction) return `${poster} is suspended as the poster, in ${transaction}. ${until}`;
  if (suspended) return `${poster} is suspended as the poster already. ${until}`;
  const missing = facts.threshold - (suspension?.signatures.size ?? 0);
  if (signers !== undefined) {
    const completes =
      signers >= missing ? `, which completes the quorum and is sent at once: then the run trains no more` : "";
    return `Nothing was signed or sent. With --yes ${countOf(signers, "wallet")} here would sign it${completes}. ${until}`;
  }
  return `Signed in ${file}. It takes ${missing} more of the set's validators: hand the file to another one, who signs with the same command.`;
}

/** `cotrain suspend`. */
export const suspendCommand = defineCommand({
  name: "suspend",
  summary: "stop a run's poster at once, by a quorum of its validators",
  args: [{ name: "file", description: "the suspension, which goes from validator to validator; made if not there" }],
  options: {
    ...signingOptions,
    state: text({
      value: "directory",
      description:
        "directory of the local state, or of somebody else's run's validator (default: .cotrain, .cotrain-validator)",
    }),
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
    const outcome = await atPlace(
      options,
      own,
      async (place): Promise<Outcome> => {
        requirePinned(place);
        const facts = await suspensionFacts(place.reader, place.runId, systemClock);
        const { poster, suspended, threshold } = facts;
        if (suspended) return { suspended, transaction: null, poster, facts };
        const head = options.head === undefined ? undefined : asHead(options.head);
        const found = await readSuspension(file, facts);
        if (found && head !== undefined && found.struct.head !== head)
          throw new UserError(
            "SUSPENSION_OTHER",
            `${file} is for the head ${found.struct.head}: leave --head out, or name another file.`,
          );
        const before = found ?? beginSuspension(facts, head, Math.floor(options.within / 1_000));
        const signers = signersOf(place, before, facts).length;
        if (!options.yes) return { suspended, transaction: null, poster, suspension: before, facts, signers };
        requireUse(place, before, facts);
        const suspension = await signedBy(place, before, facts);
        await writeSuspension(file, suspension);
        if (suspension.signatures.size < threshold) return { suspended, transaction: null, poster, suspension, facts };
        const transaction = await send(place, suspension, options);
        return { suspended: true, transaction, poster, suspension, facts };
      },
      undefined,
      { party: "validators" },
    );
    const { suspended, transaction, poster, suspension, facts } = outcome;
    output.result(
      {
        file,
        runId: facts.runId,
        poster,
        suspended,
        transaction,
        head: suspension?.struct.head ?? null,
        deadline: suspension?.struct.deadline ?? null,
        signers: [...(suspension?.signatures.keys() ?? [])],
        threshold: facts.threshold,
      },
      [
        ...(suspension ? factsOf(suspension, facts) : []),
        ...wrap(outcomeText(file, outcome), columnsOf(process.stdout)),
      ],
    );
  },
});
