/** Who plays in a dispute that a session shows, and what is known of it as it goes on. */
import type { disputeOutcome } from "@cotrain/sdk/actions";
import type { Address, Hex } from "@cotrain/sdk/protocol";
import type { PrivateKeyAccount } from "viem/accounts";

import type { Wallets } from "./chain.ts";
import type { FalseRoot, Signer } from "./falseRoot.ts";

/** Whose keys a dispute is played with. */
export interface Players {
  readonly thief: PrivateKeyAccount;
  readonly watcher: PrivateKeyAccount;
  readonly validators: readonly Signer[];
}

/** Those of a start's wallets; undefined where no dispute is asked for. */
export const playersOf = ({ validators, players }: Pick<Wallets, "validators" | "players">): Players | undefined =>
  players && {
    ...players,
    validators: validators.map((account, index) => ({ name: `validator-${index + 1}`, account })),
  };

/**
 * The window of a model whose session shows a dispute, s: a machine that trains, validates and watches by itself, and has other things to
 * do, has to find the false root twice within it. The usual one takes four seconds, so that whoever shows no dispute does not wait.
 */
export const SHOWN_WINDOW = 20;

/** A model's settings, with the window that a dispute takes where one is to be shown. */
export const shownWith = <M extends { readonly window: number }>(players: Wallets["players"], model: M): M =>
  players ? { ...model, window: Math.max(model.window, SHOWN_WINDOW) } : model;

/** What is told where a model was made with a shorter window, as by an ordinary session. */
export const shortWindowText = (window: number): readonly string[] =>
  window >= SHOWN_WINDOW
    ? []
    : [
        `The window of this directory's model is ${window} seconds: a machine that is busy may find the false root too late, and then that pays. --fresh makes a model with ${SHOWN_WINDOW} seconds.`,
      ];

/** Of a validator's stake: what it put up, and the transaction where that was in this session. */
export interface Staked {
  readonly name: string;
  readonly account: Address;
  readonly amount: bigint;
  readonly transaction: Hex | null;
}
export interface Slashed extends Pick<Staked, "name" | "account" | "amount"> {
  /** Of the amount, what the disputer has for it. */
  readonly fee: bigint;
  readonly transaction: Hex;
}
/** Coins that bonds brought an account. */
export interface Returned extends Pick<Staked, "account" | "amount"> {
  readonly transaction: Hex;
}

/** How far a dispute has come, each step with its transaction; amounts in wei. */
export interface DisputePlay {
  readonly staked?: readonly Staked[];
  readonly falseRoot?: FalseRoot;
  readonly dispute?: {
    readonly disputer: Address;
    readonly bond: bigint;
    /** What the watcher found, one sentence. */
    readonly reason: string;
    readonly evidence: Hex;
    readonly proposalId: bigint;
    readonly transaction: Hex;
  };
  readonly vote?: { readonly voters: number; readonly for: bigint; readonly against: bigint };
  readonly end?: {
    readonly outcome: keyof typeof disputeOutcome;
    /** What the winner got of the other's bond, and what nobody gets. */
    readonly won: bigint;
    readonly burned: bigint;
    readonly transaction: Hex;
  };
  readonly slashed?: readonly Slashed[];
  /** What the watcher fetched for the signers' stake. */
  readonly fees?: { readonly amount: bigint; readonly transaction: Hex } | null;
  readonly trueRoot?: {
    readonly index: number;
    readonly total: bigint;
    readonly poster: Address;
    readonly bond: bigint;
    readonly transaction: Hex;
    readonly activated: Hex;
  };
  readonly returned?: readonly Returned[];
}
