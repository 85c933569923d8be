/** Everything that is read of the contracts, in the terms of ports.ts. What can never change is read once. */
import { type Address, type ContractAddresses, rewardKind } from "@cotrain/sdk/protocol";

import { type Clock, systemClock } from "../base/index.ts";
import type { ChainConnection } from "./connection.ts";
import type { ChainReader, RootReader } from "./ports.ts";
import { readBlocks } from "./reads/blocks.ts";
import { readBuilds } from "./reads/builds.ts";
import { readClaims } from "./reads/claims.ts";
import { readDisputes, readRulings } from "./reads/disputes.ts";
import { readEvents, type ReadFrom } from "./reads/events.ts";
import { readModels } from "./reads/models.ts";
import { readRoots } from "./reads/roots.ts";
import { readRuns } from "./reads/runs.ts";
import { readStakes } from "./reads/stakes.ts";

export interface ReaderOptions {
  readonly contracts: ContractAddresses;
  /** Block from which on the contracts exist (the least of `Deployment.blocks`); logs are read from there. */
  readonly fromBlock: number;
  /** ComputeEscrow, where the deployment names it: no other contract does. */
  readonly escrow?: Address | undefined;
  /** Blocks above the one that holds an event before it is believed; default 0, for chains without reorgs. */
  readonly confirmations?: number;
  readonly clock?: Clock;
}

export function createReader(connection: ChainConnection, options: ReaderOptions): ChainReader {
  const { contracts, fromBlock, escrow, confirmations = 0, clock = systemClock } = options;
  const from: ReadFrom = { connection, addresses: contracts, fromBlock, escrow, confirmations, clock };
  const events = readEvents(from);
  const byKind = new Map<number, RootReader>();
  const rootsOfKind = (kind: number): RootReader => {
    const known = byKind.get(kind) ?? {
      ...readRoots(from, events.rootsOfKind(kind), kind),
      ...readDisputes(from, kind),
    };
    byKind.set(kind, known);
    return known;
  };
  return {
    chainId: connection.chainId,
    contracts,
    escrow,
    confirmations,
    ...readBlocks(from),
    ...readRuns(from, events),
    ...readBuilds(from, events),
    ...readModels(from),
    ...rootsOfKind(rewardKind.compute),
    ...readRulings(from),
    rootsOfKind,
    ...readStakes(from),
    ...readClaims(from),
    forget: (of, block = 0) => events.forget(of, block),
  };
}
