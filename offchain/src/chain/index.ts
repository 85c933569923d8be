/**
 * chain: what posts to and reads from the contracts, through @cotrain/sdk alone: the embedded node, the reader and the posting
 * journal. May import base and service. Start at ports.ts for what others use, at journal.ts for how posting survives crashes.
 */
export {
  type AnvilCommand,
  anvilCommand,
  type AnvilOptions,
  type DevelopmentChain,
  developmentChain,
  anvilBinary,
  DEVELOPMENT_CHAIN_ID,
  requestFunds,
  startStateKeeper,
  wrongChain,
} from "./anvil.ts";
export { type Chain, type ChainOptions, openChain, openReader, type Reverted } from "./chain.ts";
export { type ChainPace, createChainPace } from "./chainPace.ts";
export { type ChainDoor, type ChainDoorOptions, DOOR_LIMITS, type DoorLimits, openChainDoor } from "./chainDoor.ts";
export { BLOCK_GAS_LIMIT } from "./doorPool.ts";
export { type ChainConnection, chainError, connect, type ConnectionOptions, noRpc } from "./connection.ts";
export { DEFAULT_MAX_FEE } from "./fees.ts";
export { type NodeLink, openNodeLink } from "./nodeLink.ts";
export type * from "./ports.ts";
export { endOfEpoch, epochAt } from "./schedule.ts";
export { createReader, type ReaderOptions } from "./reader.ts";
export { type WalletChain, walletOn } from "./wallet.ts";
