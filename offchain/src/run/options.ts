/** Options of the daemons and of the local network, which starts daemons with them, and those that several commands share. */
import { formatEther } from "viem";

import { DEFAULT_BOND_AT_MOST, DEFAULT_MAX_FEE } from "../chain/index.ts";
import {
  account,
  choice,
  duration,
  hash,
  integer,
  port,
  real,
  size,
  text,
  toggle,
  url,
  wordsOf,
} from "../service/index.ts";
import { AUTO, DEVICE_FORM, deviceNames } from "../engine/core.ts";

/** Inner steps and micro-batches that a definition and a build can name. */
const [MAX_STEPS, MAX_MICRO_BATCHES] = [0xffff_ffff, 1 << 10] as const;

export const stateOption = text({
  value: "directory",
  description: "directory of the local state",
  default: ".cotrain",
});
export const blobsOption = text({
  value: "url",
  description:
    "where blobs are kept: a directory, or ipfs+http://127.0.0.1:5001 for a Kubo node's RPC (default: in the state directory; decided once)",
});
export const coordinatorOption = url({ description: "URL of the coordinator" });
const rpcOption = url({ description: "JSON-RPC of an EVM chain" });
export const walletOption = text({ value: "file", description: "encrypted V3 keystore of the wallet to use" });
export const passphraseFileOption = text({
  value: "file",
  description: "file that holds the keystore's passphrase (mode 0600)",
});
export const runOption = hash({ value: "id", description: "id of the run (default: the only one there is)" });
const deploymentOption = text({
  value: "file",
  description:
    "deployment.json that cotrain up wrote, or a record of deploy/deployments: chain id and contracts are taken from it",
});
/** A run, this directory's or somebody else's behind a coordinator, and what it is held against. */
export const namedRunOptions = {
  state: stateOption,
  coordinator: coordinatorOption,
  rpc: rpcOption,
  run: runOption,
  deployment: deploymentOption,
} as const;
export const maxFeeOption = real(0.000_001, 1_000_000, {
  value: "coins",
  description: "coins that the fees of one transaction may take, a quarter of them as its tip; a dearer one waits",
  default: Number(formatEther(DEFAULT_MAX_FEE)),
});
export const bondAtMostOption = real(0, 1_000_000, {
  value: "coins",
  description:
    "coins that the poster may put up as the bond of a root after one that did not stand; they come back when it is activated",
  default: Number(formatEther(DEFAULT_BOND_AT_MOST)),
});
/** One option for one worker or many: what several devices mean, each command's help says. */
const devicesOf = (description: string) =>
  wordsOf(
    new RegExp(`^${AUTO}$|${DEVICE_FORM.source}`),
    `one of ${[AUTO, ...deviceNames].join(", ")}, cuda with an index where there are several (cuda:1)`,
    { description, default: ["cpu"] },
  );
const named = `${deviceNames.join(", ")} (cuda:1 is the second GPU; :0 may stand behind each)`;
export const threadsOption = integer(1, 256, { description: "threads to compute with" });
const logLevelOption = choice(["trace", "debug", "info", "warn", "error"], {
  description: "how much to log",
  default: "info",
});

const behindProxyOption = text({
  value: "address",
  description: "address, or range such as 10.0.0.0/24, of a proxy that adds TLS: others are heard through it alone",
});

const listenOptions = {
  host: text({
    value: "address",
    description: "address to listen on; beyond loopback it needs TLS or --behind-proxy",
    default: "127.0.0.1",
  }),
  port: port({ description: "port to listen on; a free one near it if it is taken", default: 7700 }),
  tlsCert: text({ value: "file", description: "PEM file of the TLS certificate" }),
  tlsKey: text({ value: "file", description: "PEM file of the TLS key" }),
} as const;

const publicRpcOption = url({
  description: "JSON-RPC that joiners are told (default: the one in use, where its URL can hold no key)",
});

const publicUrlOption = url({
  description:
    "URL of the coordinator in the join command (default: by its certificate or address; behind a proxy it must be told)",
});

const revenueAtLeastOption = real(0.000_001, 1_000_000_000, {
  value: "tokens",
  description:
    "revenue, in the model's capital token, that must have arrived before validators are asked to share it: less waits for more",
  default: 1,
});

const claimFromOption = real(0.000_001, 1_000_000_000, {
  value: "shares",
  description:
    "shares that an account must be owed before the poster's wallet claims for it, where its worker asked (worker --claim; default: it claims for nobody)",
});

const claimRevenueFromOption = real(0.000_001, 1_000_000_000, {
  value: "tokens",
  description:
    "revenue, in the model's capital token, that an account must be owed before the poster's wallet claims it for it, where its worker asked (worker --claim; default: it claims none)",
});

/** What the coordinator keeps for those who recompute a run from outside; without them its own defaults hold. */
const retentionOptions = {
  keepPayloads: duration({
    description: "how long payloads stay after the root that pays for them became active (default: not longer)",
  }),
  keepCheckpoints: integer(1, 1_000_000, { description: "newest checkpoints that stay in any case (default: 8)" }),
  keepBytes: size({ description: "bytes of older checkpoints' shards that stay (default: 2GiB)" }),
} as const;

/** `cotrain coordinator`. */
export const coordinatorOptions = {
  state: stateOption,
  blobs: blobsOption,
  run: runOption,
  rpc: rpcOption,
  maxFee: maxFeeOption,
  bondAtMost: bondAtMostOption,
  revenueAtLeast: revenueAtLeastOption,
  claimFrom: claimFromOption,
  claimRevenueFrom: claimRevenueFromOption,
  publicRpc: publicRpcOption,
  wallet: walletOption,
  passphraseFile: passphraseFileOption,
  ...listenOptions,
  behindProxy: behindProxyOption,
  loopbackPort: port({ description: "with TLS: port of plain HTTP besides, for this machine alone" }),
  operatorTokenFile: text({
    value: "file",
    description: "file with the token that may pause and resume (default: in the state directory)",
  }),
  renters: wordsOf(/^0x[\da-fA-F]{40}$/, "an address", {
    description:
      "accounts whose rented machines may join by a pass (default: the poster, and this directory's organiser)",
  }),
  ...retentionOptions,
  logLevel: logLevelOption,
} as const;

/** `cotrain validator`. */
export const validatorOptions = {
  coordinator: url({ description: "URL of the coordinator to check", default: "http://127.0.0.1:7700" }),
  run: runOption,
  state: { ...stateOption, default: ".cotrain-validator" },
  blobs: blobsOption,
  wallet: walletOption,
  passphraseFile: passphraseFileOption,
  rpc: rpcOption,
  deployment: deploymentOption,
  role: text({ value: "name", description: "sub-directory and wallet of a state that cotrain up keeps" }),
  loss: toggle({ description: "measure held-out loss too", default: true }),
  first: toggle({
    description:
      "at its first start: the wallet's key has never signed for this model, so that what is anchored already may be signed too",
    default: false,
  }),
  logLevel: logLevelOption,
} as const;

/** `cotrain worker`. */
export const workerOptions = {
  coordinator: url({ description: "URL of the coordinator to train for", default: "http://127.0.0.1:7700" }),
  run: runOption,
  state: { ...stateOption, default: ".cotrain-worker" },
  blobs: blobsOption,
  wallet: walletOption,
  passphraseFile: passphraseFileOption,
  beneficiary: account({ description: "address that is paid (default: the worker's own wallet)" }),
  pass: text({ value: "file", description: "pass of a rented machine, which names who is paid" }),
  claim: toggle({
    description: "ask the coordinator to claim what is earned, if it does so, at its cost",
    against: "ask it no more",
  }),
  rpc: rpcOption,
  deployment: deploymentOption,
  device: devicesOf(
    `what to compute with: ${named}, or ${AUTO}, the fastest that passes a test; of several with commas between the first, and the next where that is lost`,
  ),
  threads: threadsOption,
  role: text({ value: "name", description: "sub-directory and wallet of a state that cotrain up keeps" }),
  log: choice(["text", "json"], {
    description: "what stderr gets: lines for people, or every event as JSON (default: text on a terminal)",
  }),
  logLevel: logLevelOption,
} as const;

/** How the inner steps of a new run are taken (recipe.ts): but for those of a round of its definition for ever. */
export const recipeOptions = {
  innerSteps: integer(12, 3_072, {
    description:
      "inner steps of a new run's rounds, a multiple of 12, until holders decide otherwise (default: the preset's, such as 72 at 1m, where a round takes ten to fifteen seconds on two cores)",
  }),
  optimizer: choice(["adamw", "muon", "sgd"], {
    description: "inner optimizer of a new run; muon is for hidden matrices, with adamw for the rest (default: adamw)",
  }),
  schedule: choice(["constant", "cosine", "wsd"], {
    description:
      "learning rate of a new run after its warm-up: it stays, falls in half a cosine, or stays and falls in a line at the end (default: constant)",
  }),
  warmupSteps: integer(0, MAX_STEPS, {
    description:
      "inner steps of the run in which the rate rises (default: 100, and no more than a tenth of --total-steps)",
  }),
  totalSteps: integer(1, MAX_STEPS, {
    description:
      "cosine, wsd: inner steps of the run after which the rate stays at its floor (default: those of 100 rounds)",
  }),
  decaySteps: integer(1, MAX_STEPS, {
    description: "wsd: the last of all steps, in which the rate falls (default: a tenth of --total-steps)",
  }),
  lrFloor: real(0, 1, {
    value: "part",
    description: "cosine, wsd: part of its peak at which the rate ends (default: 0.1 for cosine, 0 for wsd)",
  }),
  microBatches: integer(1, MAX_MICRO_BATCHES, {
    description:
      "micro-batches of one inner step of a new run, whose gradients are accumulated; rounds then have so many times fewer steps (default: 1)",
  }),
  recompute: toggle({
    description:
      "steps of a new run keep few activations and compute the rest again: less memory, more time, the same bits",
    against: "steps of a new run keep all activations (default up to 60m)",
  }),
} as const;

/** `cotrain up`. */
export const localnetOptions = {
  for: duration({ description: "how long to train; settling takes half a minute more", default: 180_000 }),
  vote: toggle({
    description: "hold a vote in this session (default: in each of 90s or more, until holders have decided once)",
    against: "hold no vote in this session",
  }),
  demo: choice(["dispute"], {
    description:
      "show in this session what becomes of a false reward root that a quorum of validators signs (the embedded chain; two minutes at least)",
  }),
  market: choice(["demo"], {
    description:
      "rent the workers from a fake provider on this machine, as market rent does from a real one (Linux; the embedded chain)",
  }),
  yes: toggle({ description: "spend more than 0.1 coins on fees without asking, where coins cost", default: false }),
  exit: toggle({ description: "end after the summary instead of staying up", default: false }),
  fresh: toggle({ description: "put the old state aside and start anew", default: false }),
  state: stateOption,
  blobs: blobsOption,
  preset: text({ value: "name", description: "model preset of a new run: 0.1m, 1m, 3.5m or 20m", default: "1m" }),
  data: text({ value: "file", description: "text file to train on instead of the Brown corpus (new runs)" }),
  ...recipeOptions,
  founders: wordsOf(/^0x[\da-fA-F]{40}=\d{1,20}(\.\d{1,18})?$/, "an address with its shares, such as 0xab…=1000", {
    description:
      "whom a new run's model pays how many shares over four years, nothing in the first; they count in every quorum from the first day (default: nobody)",
  }),
  capital: text({
    value: "token=price",
    description:
      "what a new run's model sells shares for, and is paid revenue in: a token's address with what a share costs at the least, for ever, such as 0xab…=0.01 (default: nothing; test dollars on a development chain)",
  }),
  workers: integer(1, 64, { description: "workers on this machine", default: 3 }),
  device: devicesOf(
    `what workers compute with: ${named}, or ${AUTO}, the fastest that passes a test; of several with commas between, each worker takes the next`,
  ),
  rpc: rpcOption,
  maxFee: maxFeeOption,
  bondAtMost: bondAtMostOption,
  publicRpc: publicRpcOption,
  publicUrl: publicUrlOption,
  deployments: text({
    value: "directory",
    description: "directory that records deployments to public chains (default: deploy/deployments of this repository)",
  }),
  wallet: walletOption,
  passphraseFile: passphraseFileOption,
  chainPort: port({ description: "port of the embedded chain; a free one near it if it is taken", default: 8545 }),
  behindProxy: behindProxyOption,
  ...listenOptions,
  ...retentionOptions,
} as const;
