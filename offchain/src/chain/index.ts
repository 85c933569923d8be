/**
 * chain: what posts to and reads from the contracts, through @cotrain/sdk alone: the embedded node, the reader, the posting
 * journal, an epoch's accounts, and verification from the contracts. May import base, storage and service. Start at ports.ts
 * for what others use, at journal.ts for how posting survives crashes, at epoch.ts for who is paid what.
 */
export {
  createRecordReader,
  pastScreenings,
  problemOfSample,
  problemOfScreening,
  readScreening,
  type RecordReader,
} from "./screening.ts";
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
export { computeEpoch, deadlineOf, dueEpoch, endOfEpoch, epochAt, type EpochModules, sumOfEpochs } from "./epoch.ts";
export {
  createHeadDocumentsCache,
  type HeadDocuments,
  type HeadDocumentsCache,
  DocumentError,
  MAX_DOCUMENT_BYTES,
  isMalformed,
  readHeadDocuments,
  readJson,
  type RunDocuments,
  runDocuments,
  verifyReceipts,
  wasAdmitted,
} from "./documents.ts";
export { DEFAULT_MAX_FEE } from "./fees.ts";
export { drawnBy, type Sortition, sortitionOf } from "./sortition.ts";
export { type NodeLink, openNodeLink } from "./nodeLink.ts";
export type * from "./ports.ts";
export { createReader, type ReaderOptions } from "./reader.ts";
export { blamesByLoss, blamesByMeasure, readMeasured, requireMeasures } from "./measured.ts";
export { isNotHad, type PayloadPlace, problemOfUnreadable } from "./unreadable.ts";
export { rejectedHeads } from "./rejected.ts";
export { type Unpaid, UNPAID_EPOCHS, type UnpaidWork, unpaidWork } from "./unpaid.ts";
export { type WalletChain, walletOn } from "./wallet.ts";
export { workOf } from "./work.ts";
export { type HeadCondition, type HeadReport, verifyRun, type VerifyModules, type VerifySummary } from "./verify.ts";
