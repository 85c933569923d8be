/**
 * @cotrain/sdk/actions: reads, writes and events of the contracts, each a function on its own that takes a viem client first.
 * Start at rewards.ts and governance.ts for what holders do, checkpoints.ts for what a coordinator does, logs.ts for events.
 */
export type {
  Addressed,
  Call,
  ClientArgs,
  EventArgs,
  Read,
  ReadArgs,
  ReadOptions,
  ReceiptLike,
  SyncOptions,
  TransactionOptions,
  Write,
  WriteArgs,
} from "./action.ts";
export * from "./ballots.ts";
export * from "./batch.ts";
export * from "./bootstrap.ts";
export * from "./budgets.ts";
export * from "./capital.ts";
export * from "./checkpoints.ts";
export * from "./decode.ts";
export * from "./decorator.ts";
export * from "./disputes.ts";
export * from "./emission.ts";
export * from "./escrow.ts";
export * from "./events.ts";
export * from "./payEvents.ts";
export * from "./governance.ts";
export * from "./grants.ts";
export * from "./logs.ts";
export * from "./models.ts";
export * from "./revenue.ts";
export * from "./postedSignatures.ts";
export * from "./rewards.ts";
export * from "./runs.ts";
export * from "./shares.ts";
export * from "./signatures.ts";
export * from "./stakes.ts";
export * from "./validators.ts";
export * from "./voteSettings.ts";
export * from "./wiring.ts";
