/** The contracts' events, in the terms of ports.ts. */
import {
  buildAdmitted,
  type EventLogs,
  type EventQuery,
  headPosted,
  posterSet,
  proposalCreated,
  rootActivated,
  rootPosted,
  runRegistered,
} from "@cotrain/sdk/actions";
import {
  type Address,
  asAddress,
  asDigest,
  asHead,
  asRunId,
  type ContractAddresses,
  type Digest,
  documentsInProposal,
  type ModelId,
  type RunId,
  structHash,
  zeroHash,
} from "@cotrain/sdk/protocol";

import type { Clock } from "../../base/index.ts";
import { createBlockTimes } from "../agreed.ts";
import type { ChainConnection } from "../connection.ts";
import { createHistory } from "../history.ts";
import type { ActivatedRoot, PostedHead, PostedRoot } from "../ports.ts";
import { type Histories, histories, type IsWhole } from "./histories.ts";

/** What everything is read of. */
export interface ReadFrom {
  readonly connection: ChainConnection;
  readonly addresses: ContractAddresses;
  /** Block from which on the contracts exist; logs are read from there. */
  readonly fromBlock: number;
  readonly escrow: Address | undefined;
  /** Blocks above the one that holds an event before it is believed. */
  readonly confirmations: number;
  readonly clock: Clock;
}

interface RegisteredRun {
  readonly runId: RunId;
  readonly poster: Address;
}

interface ProposedDocument {
  readonly digest: Digest;
  readonly text: string;
}

/** What is told of roots of one kind. */
export interface RootEvents {
  readonly roots: Histories<ModelId, PostedRoot>;
  /** Those that are not confirmed, too. */
  readonly newRoots: Histories<ModelId, PostedRoot>;
  readonly activations: Histories<ModelId, ActivatedRoot>;
}

export interface ContractEvents {
  readonly heads: Histories<RunId, PostedHead>;
  /** Posters that a run was given after its registration. */
  readonly posters: Histories<RunId, Address>;
  /** Builds that were ever admitted. */
  readonly admissions: Histories<RunId, Digest>;
  /** By governor: what may be documents in the texts of its proposals. */
  readonly proposedDocuments: Histories<Address, ProposedDocument>;
  readonly runs: Histories<ModelId, RegisteredRun>;
  /** Of roots of one kind. */
  readonly rootsOfKind: (kind: number) => RootEvents;
  /** Heads whose time is told otherwise now are read anew at the next look. */
  refreshTimes(runId: RunId): Promise<void>;
  /** Heads of a run, or roots of a model, are read anew from a block on. */
  forget(of: RunId | ModelId, block: number): void;
}

/** What is told of builds: which were admitted, and the documents of those that were proposed. */
function buildEvents(from: ReadFrom): Pick<ContractEvents, "admissions" | "proposedDocuments"> {
  const { addresses } = from;
  const admissions = histories((runId: RunId) =>
    createHistory({
      ...from,
      query: buildAdmitted({ addresses, runId }),
      map: (logs) => logs.filter(({ args }) => args.admitted).map(({ args }) => asDigest(args.build)),
    }),
  );
  const proposedDocuments = histories((governor: Address) =>
    createHistory({
      ...from,
      query: proposalCreated({ governor }),
      map: (logs) => logs.flatMap(({ args }) => documentsInProposal(args.description, args.calldatas)),
    }),
  );
  return { admissions, proposedDocuments };
}

function rootEvents(from: ReadFrom, kind: number): RootEvents {
  const { addresses } = from;
  const rootsFrom = (confirmations: number) =>
    histories((modelId: ModelId) =>
      createHistory({
        ...from,
        confirmations,
        query: rootPosted({ addresses, modelId, kind }),
        map: (logs) => logs.map((log) => postedRoot(modelId, log)),
      }),
    );
  const roots = rootsFrom(from.confirmations);
  const newRoots = from.confirmations === 0 ? roots : rootsFrom(0);
  const activations = histories((modelId: ModelId) =>
    createHistory({
      ...from,
      query: rootActivated({ addresses, modelId, kind }),
      map: (logs) => logs.map((log) => activatedRoot(modelId, log)),
    }),
  );
  return { roots, newRoots, activations };
}

export function readEvents(from: ReadFrom): ContractEvents {
  const { addresses, connection, clock } = from;
  const times = createBlockTimes(
    async (hash) => Number((await connection.call((chain) => chain.getBlock({ blockHash: hash }))).timestamp),
    clock,
  );
  const heads = histories(
    (runId: RunId) =>
      createHistory({
        ...from,
        query: headPosted({ addresses, runId }),
        map: (logs) =>
          Promise.all(
            logs.map(async (log) => ({
              ...headOf(runId, log),
              anchoredAt: await times.timeOf(runId, Number(log.blockNumber), log.blockHash),
            })),
          ),
      }),
    isHeadChain,
  );
  const posters = histories((runId: RunId) =>
    createHistory({
      ...from,
      query: posterSet({ addresses, runId }),
      map: (logs) => logs.map(({ args }) => asAddress(args.poster)),
    }),
  );
  const { admissions, proposedDocuments } = buildEvents(from);
  const runs = histories((modelId: ModelId) =>
    createHistory({
      ...from,
      query: runRegistered({ addresses, modelId }),
      map: (logs) => logs.map(({ args }) => ({ runId: asRunId(args.runId), poster: asAddress(args.poster) })),
    }),
  );
  const byKind = new Map<number, RootEvents>();
  const rootsOfKind = (kind: number): RootEvents => {
    const known = byKind.get(kind) ?? rootEvents(from, kind);
    byKind.set(kind, known);
    return known;
  };
  const refreshTimes = async (runId: RunId): Promise<void> => {
    const changed = await times.changed(runId);
    if (changed !== undefined) heads.forget(runId, changed);
  };
  const forget = (of: RunId | ModelId, block: number): void => {
    times.forget();
    heads.forget(of as RunId, block);
    for (const { roots, newRoots, activations } of byKind.values()) {
      roots.forget(of as ModelId, block);
      if (newRoots !== roots) newRoots.forget(of as ModelId, block);
      activations.forget(of as ModelId, block);
    }
  };
  return { heads, posters, admissions, proposedDocuments, runs, rootsOfKind, refreshTimes, forget };
}

/** A log of the events that a function asks for. */
type LogOf<F> = F extends (...args: never[]) => EventQuery<infer abi, infer name>
  ? EventLogs<abi, name>[number]
  : never;

const headOf = (
  runId: RunId,
  { args, blockNumber, blockHash, logIndex, transactionHash }: LogOf<typeof headPosted>,
): Omit<PostedHead, "anchoredAt"> => ({
  runId,
  head: asHead(args.head),
  parentHead: asHead(args.parentHead),
  sequence: Number(args.sequence),
  round: Number(args.round),
  paramsVersion: args.paramsVersion,
  checkpointDigest: asDigest(args.checkpointDigest),
  receiptsRoot: args.receiptsRoot,
  block: Number(blockNumber),
  blockHash,
  logIndex,
  transaction: transactionHash,
});

/** Heads without one that is left out between others: each names the one before. */
const isHeadChain: IsWhole<PostedHead> = (heads) =>
  heads.every(
    ({ sequence, parentHead }, i) => sequence === i && parentHead === (i === 0 ? zeroHash : heads[i - 1]?.head),
  );

const postedRoot = (
  modelId: ModelId,
  { args: { attestation, activatableAt }, blockNumber, transactionHash }: LogOf<typeof rootPosted>,
): PostedRoot => ({
  modelId,
  index: Number(attestation.index),
  root: attestation.root,
  total: attestation.total,
  fromEpoch: Number(attestation.fromEpoch),
  epoch: Number(attestation.toEpoch),
  runId: asRunId(attestation.runId),
  head: asHead(attestation.head),
  epochDigest: asDigest(attestation.epochDigest),
  setVersion: attestation.setVersion,
  deadline: Number(attestation.deadline),
  attestation,
  digest: structHash("Attestation", attestation),
  activatableAt,
  block: Number(blockNumber),
  transaction: transactionHash,
});

const activatedRoot = (
  modelId: ModelId,
  { args, blockNumber, transactionHash }: LogOf<typeof rootActivated>,
): ActivatedRoot => ({
  modelId,
  index: Number(args.index),
  root: args.root,
  total: args.total,
  epoch: Number(args.toEpoch),
  block: Number(blockNumber),
  transaction: transactionHash,
});
