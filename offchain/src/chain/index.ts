/**
 * chain: what posts to and reads from the contracts, through @cotrain/sdk alone: the embedded node, the reader and the posting
 * journal. May import base and service. Start at ports.ts for what others use, at journal.ts for how posting survives crashes.
 */
export {
  type AnvilCommand,
  anvilCommand,
  developmentChain,
  anvilBinary,
  DEVELOPMENT_CHAIN_ID,
  requestFunds,
  startStateKeeper,
  wrongChain,
} from "./anvil.ts";
export { type Chain, type ChainOptions, openChain, openReader, type Reverted } from "./chain.ts";
export { createBonds, DEFAULT_BOND_AT_MOST, replacementIn } from "./bonds.ts";
export { type ChainPace, createChainPace } from "./chainPace.ts";
export { type ChainDoor, DOOR_LIMITS, type DoorLimits, openChainDoor } from "./chainDoor.ts";
export { BLOCK_GAS_LIMIT } from "./doorPool.ts";
export { type ChainConnection, chainError, connect, isRevert, noRpc, saysReverted } from "./connection.ts";
export { DEFAULT_MAX_FEE } from "./fees.ts";
export { isRefused, isTooDear } from "./journal.ts";
export { type NodeLink, openNodeLink } from "./nodeLink.ts";
export type * from "./ports.ts";
export { mayBePublic, publicFetch } from "./publicFetch.ts";
export { createReader } from "./reader.ts";
export { recoverSigners, rootSigners } from "./signers.ts";
export { leftOut } from "./reads/histories.ts";
export { rpcTransport } from "./transport.ts";
export { unlessUnknown } from "./unlessUnknown.ts";
export { allowanceOf, changeAllowance } from "./allowance.ts";
export { type WalletChain, type WalletClient, walletOn } from "./wallet.ts";
