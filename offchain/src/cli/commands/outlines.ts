/**
 * What `cotrain --help` says of each command of one word: it is here, and not in the command's file, so that the help needs nothing
 * of what commands need.
 */
import type { Command } from "../command.ts";

export type Outline = Pick<Command, "name" | "summary" | "args">;

export const outlines = {
  up: {
    name: "up",
    summary: "train a model on this machine: chain, coordinator, validators and workers, all of it",
  },
  worker: {
    name: "worker",
    summary: "train for a coordinator and earn shares",
  },
  coordinator: {
    name: "coordinator",
    summary: "run the rounds of this directory's run and serve its HTTP API",
  },
  validator: {
    name: "validator",
    summary: "recompute what a coordinator published, and sign what holds",
  },
  status: {
    name: "status",
    summary: "where a run stands, here and on-chain",
  },
  params: {
    name: "params",
    summary: "what the holders of a run govern: values in force and how far a vote may change them",
  },
  verify: {
    name: "verify",
    summary: "walk the chain of checkpoints from the contracts alone, fetch, hash and recompute",
  },
  generate: {
    name: "generate",
    summary: "let the trained model continue a text",
  },
  shares: {
    name: "shares",
    summary: "what a holder has: shares, votes, who delegates to whom, and the history of it",
  },
  delegate: {
    name: "delegate",
    summary: "choose who votes with the shares of wallets; each pays its own gas",
    args: [{ name: "address", description: "who votes with them, or self: each wallet with its own", optional: true }],
  },
  propose: {
    name: "propose",
    summary: "propose to the holders that a run's parameters change, or what a plain sentence says",
    args: [
      {
        name: "name=value",
        description:
          'a parameter and its new value, as params --json has it, or a sentence such as "set inner steps to 48"',
        several: true,
      },
    ],
  },
  vote: {
    name: "vote",
    summary: "vote on a proposal; each wallet pays its own gas",
    args: [
      {
        name: "proposal",
        description: "its id, or the first digits of it, as proposals list shows it",
        optional: true,
      },
      { name: "vote", description: "for, against or abstain", optional: true },
    ],
  },
  bootstrap: {
    name: "bootstrap",
    summary: "whether a model is in bootstrap, when that ends, and what its organiser has announced",
  },
  watch: {
    name: "watch",
    summary: "recompute every root and head as it is posted, and dispute what is false or unpublished",
  },
  suspend: {
    name: "suspend",
    summary: "stop a run's poster at once, by a quorum of its validators",
    args: [{ name: "file", description: "the suspension, which goes from validator to validator; made if not there" }],
  },
  machine: {
    name: "machine",
    summary: "what a rented machine runs: tell what it can train with, and train by its passes",
  },
  clean: {
    name: "clean",
    summary: "remove old states that --fresh put aside",
  },
  doctor: {
    name: "doctor",
    summary: "what this machine can train with: speed of each device, memory for each preset, what is missing",
  },
} as const satisfies Readonly<Record<string, Outline>>;

const byName: Readonly<Record<string, Outline>> = outlines;
export const outlineOf = (name: string): Outline | undefined => byName[name];
