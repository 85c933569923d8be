/** The summary's part about a dispute that the session showed: each step with its transaction, and who lost and got which coins. */
import { getAllLogs, rootDisputed } from "@cotrain/sdk/actions";
import { type Static, Type } from "typebox";
import { formatEther } from "viem";

import { formatAddress, formatShares, shortHex, wrap } from "../../base/index.ts";
import type { Prepared, TrainingSession } from "../../localnet/index.ts";
import { type Output, table } from "../output.ts";
import { indent, inTransaction, Nullable, ROOM, Text, Whole } from "./fields.ts";

/** What happened, in the order in which it did; null where it did not come so far. Shares and coins in wei. */
const Shown = Type.Object({
  /** What a quorum of the validators' keys of this machine signed, and who posted it. */
  falseRoot: Nullable(
    Type.Object({
      index: Whole,
      epoch: Whole,
      digest: Text,
      total: Text,
      thief: Text,
      victim: Text,
      amount: Text,
      signers: Type.Array(Text),
      transaction: Text,
    }),
  ),
  dispute: Nullable(Type.Object({ disputer: Text, reason: Text, evidence: Text, proposalId: Text, transaction: Text })),
  vote: Nullable(Type.Object({ voters: Whole, for: Text, against: Text })),
  end: Nullable(Type.Object({ outcome: Text, transaction: Text })),
  trueRoot: Nullable(Type.Object({ total: Text, transaction: Text, activated: Text })),
  /** Of each bond: what was put up, what came back, and the transactions. Those that a poster of a first root has not to put up are none. */
  bonds: Type.Array(
    Type.Object({ name: Text, account: Text, paid: Text, returned: Text, transactions: Type.Array(Text) }),
  ),
  /** Of each signer's stake: what it lost, and of that the part that the disputer was paid; nobody gets the rest. */
  stakes: Type.Array(
    Type.Object({ name: Text, account: Text, staked: Text, lost: Text, fee: Text, transaction: Nullable(Text) }),
  ),
  /** The transaction that paid the disputer its part of the stakes. */
  feesPaid: Nullable(Text),
  /** Why it went no further, where it did not. */
  why: Nullable(Text),
});

/** Left out where the session was not asked to show one. */
export const Disputed = Type.Object({ dispute: Type.Optional(Shown) });
export type Disputed = Static<typeof Disputed>;
type Shown = Static<typeof Shown>;
type Play = NonNullable<TrainingSession["dispute"]>["play"];

/** Who put up a bond, what of it came back, and how. */
function bondsOf({ dispute, trueRoot, returned = [] }: Play): Shown["bonds"] {
  const paid = [
    ...(dispute ? [{ name: "watcher", account: dispute.disputer, ...dispute }] : []),
    ...(trueRoot ? [{ name: "coordinator", account: trueRoot.poster, ...trueRoot }] : []),
  ];
  return paid.map(({ name, account, bond, transaction }) => {
    const back = returned.filter((each) => each.account === account);
    return {
      name,
      account: formatAddress(account),
      paid: bond.toString(),
      returned: back.reduce((sum, { amount }) => sum + amount, 0n).toString(),
      transactions: [transaction, ...back.map((each) => each.transaction)],
    };
  });
}

const stakesOf = ({ staked = [], slashed = [] }: Play): Shown["stakes"] =>
  staked.map(({ name, account, amount }) => {
    const found = slashed.find((each) => each.account === account);
    return {
      name,
      account: formatAddress(account),
      staked: amount.toString(),
      lost: (found?.amount ?? 0n).toString(),
      fee: (found?.fee ?? 0n).toString(),
      transaction: found?.transaction ?? null,
    };
  });

/** Why a dispute that was to be shown has not begun. */
const NOT_BEGUN = "the session ended before a root was due";
/** Why one that has begun is not at its end. */
const NOT_ENDED = "the session ended before it; npx cotrain disputes list tells how it goes on";

function falseRootOf({ falseRoot }: Play): Shown["falseRoot"] {
  if (!falseRoot) return null;
  const { attestation, digest, thief, victim, amount, signatures, transaction } = falseRoot;
  return {
    index: Number(attestation.index),
    epoch: Number(attestation.toEpoch),
    digest,
    total: attestation.total.toString(),
    thief: formatAddress(thief),
    victim: formatAddress(victim),
    amount: amount.toString(),
    signers: signatures.map(({ name }) => name),
    transaction,
  };
}

/** Where somebody is named by a wallet of this machine. */
const nameIn = ({ owners }: Prepared, account: string): string =>
  owners.find(({ client }) => client.account.address.toLowerCase() === account.toLowerCase())?.name ?? account;

/** What the summary has of a dispute that the session showed. */
export function disputedIn(prepared: Prepared, { dispute: shown }: TrainingSession): Disputed {
  if (!shown) return {};
  const { play, why } = shown;
  const { dispute, vote, end, trueRoot, returned } = play;
  const falseRoot = falseRootOf(play);
  const unended = returned ? null : falseRoot ? NOT_ENDED : NOT_BEGUN;
  return {
    dispute: {
      falseRoot: falseRoot && { ...falseRoot, victim: nameIn(prepared, falseRoot.victim) },
      dispute: dispute
        ? {
            disputer: formatAddress(dispute.disputer),
            reason: dispute.reason,
            evidence: dispute.evidence,
            proposalId: dispute.proposalId.toString(),
            transaction: dispute.transaction,
          }
        : null,
      vote: vote ? { voters: vote.voters, for: vote.for.toString(), against: vote.against.toString() } : null,
      end: end ? { outcome: end.outcome, transaction: end.transaction } : null,
      trueRoot: trueRoot
        ? { total: trueRoot.total.toString(), transaction: trueRoot.transaction, activated: trueRoot.activated }
        : null,
      bonds: bondsOf(play),
      stakes: stakesOf(play),
      feesPaid: play.fees?.transaction ?? null,
      why: why ?? unended,
    },
  };
}

type Disputable = Pick<Prepared, "connection" | "addresses" | "modelId" | "fromBlock">;

/** Whether a root of the model was ever disputed, in this session or before. */
export async function hadDispute({ connection, addresses, modelId, fromBlock }: Disputable): Promise<boolean> {
  const from = { from: BigInt(fromBlock) };
  const { logs } = await connection.call((client) => getAllLogs(client, rootDisputed({ addresses, modelId }), from));
  return logs.length > 0;
}

const coins = (wei: string | bigint): string => formatEther(BigInt(wei));

const endings: Readonly<Record<string, string>> = {
  void: "the holders voted it void",
  undecided: "it was refused, since no quorum voted",
};

const shares = (wei: string): string => formatShares(BigInt(wei));
const step = (text: string, transaction: string): string[] => [
  ...wrap(`${text}, in the transaction`, ROOM),
  transaction,
];

/** Of what the watcher found; the document has them whole. */
const HASH = /0x[0-9a-f]{64}/g;

function stepLines({ falseRoot, dispute, vote, end, trueRoot, bonds }: Shown): string[] {
  return [
    ...(falseRoot
      ? step(
          `${falseRoot.signers.join(" and ")} signed a false root ${falseRoot.index} of epoch ${falseRoot.epoch}, by which a thief would have ${shares(falseRoot.amount)} shares of what ${falseRoot.victim} earned; the thief posted it`,
          falseRoot.transaction,
        )
      : []),
    ...(dispute ? step("the watcher recomputed the root and disputed it", dispute.transaction) : []),
    ...(dispute && dispute.reason !== "" ? wrap(`it found: ${dispute.reason.replaceAll(HASH, shortHex)}`, ROOM) : []),
    ...(vote
      ? wrap(`holders voted: ${shares(vote.for)} shares for the root, ${shares(vote.against)} against it`, ROOM)
      : []),
    ...(end ? step(endings[end.outcome] ?? end.outcome, end.transaction) : []),
    ...(trueRoot
      ? [
          ...step(
            `the coordinator posted the true root with a bond of ${coins(bonds.at(-1)?.paid ?? 0n)} coins`,
            trueRoot.transaction,
          ),
          ...inTransaction(`active, ${shares(trueRoot.total)} shares to those who earned them,`, trueRoot.activated),
        ]
      : []),
  ];
}

/** Rows of coins, which add up: what was put up is what came back, and what was lost. */
function coinRows({ bonds, stakes }: Shown): string[][] {
  const fees = stakes.reduce((sum, { fee }) => sum + BigInt(fee), 0n);
  const lost = stakes.reduce((sum, each) => sum + BigInt(each.lost), 0n);
  return [
    ...bonds.map(({ name, paid, returned }) => [
      name,
      "bond",
      coins(paid),
      coins(returned),
      coins(BigInt(paid) - BigInt(returned)),
    ]),
    ...stakes.map((each) => [
      each.name,
      "stake",
      coins(each.staked),
      coins(BigInt(each.staked) - BigInt(each.lost)),
      coins(each.lost),
    ]),
    ...(lost > 0n
      ? [
          ["watcher", "its part of that", "", coins(fees), ""],
          ["nobody", "the rest of it", "", coins(lost - fees), ""],
        ]
      : []),
  ];
}

/** @param heading draws the part's name */
export function disputedBlock(
  { dispute: shown }: Disputed,
  heading: (text: string) => string,
  paint: Output["paint"],
): string[] {
  if (!shown) return [];
  const rows = coinRows(shown);
  const lines = table([["whose coins", "", "put up", "has or gets", "lost"], ...rows], [2, 3, 4]);
  return [
    heading("The dispute that was played (--demo dispute)"),
    ...indent([
      ...stepLines(shown),
      ...(rows.length === 0 ? [] : lines.map((line, index) => (index === 0 ? paint("dim", line) : line))),
      ...shown.stakes.flatMap(({ name, transaction }) =>
        transaction === null ? [] : inTransaction(`${name} lost stake`, transaction),
      ),
      ...(shown.feesPaid === null ? [] : inTransaction("the watcher was paid its part of that", shown.feesPaid)),
      ...shown.bonds.flatMap(({ name, transactions: [, ...back] }) =>
        back.flatMap((transaction) => inTransaction(`the bond of the ${name} came back`, transaction)),
      ),
      ...(shown.why === null ? [] : wrap(`not to its end: ${shown.why}`, ROOM)),
    ]),
    "",
  ];
}
