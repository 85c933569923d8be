/** A run that a coordinator serves, held against the deployment that the user names. */
import {
  type Address,
  asRunId,
  type ContractAddresses,
  type CoordinatorClient,
  createCoordinatorClient,
  findRun,
  type RunId,
  type RunView,
} from "@cotrain/sdk/protocol";

import { UserError } from "../base/index.ts";
import { type ChainReader, openReader } from "../chain/index.ts";
import { type Pins, pinsOf } from "./contracts.ts";
import { type DeploymentFile, readNamedDeployment } from "./local.ts";

/** The block from which on a deployment's logs are read; the chain's first where it does not say. */
function firstBlockOf(deployment: Pick<DeploymentFile, "blocks">): number {
  // ComputeEscrow stays where it is when all else is deployed anew: it may be older, and no log of a run is its.
  const blocks = Object.entries(deployment.blocks).flatMap(([name, block]) =>
    name === "computeEscrow" ? [] : [block],
  );
  return blocks.length === 0 ? 0 : Math.min(...blocks);
}

export const readerOptions = (rpcUrl: string, chainId: number, deployment: DeploymentFile) => ({
  rpcUrl,
  chainId,
  contracts: deployment.addresses,
  fromBlock: firstBlockOf(deployment),
  escrow: deployment.computeEscrow,
});

export interface RemoteOptions {
  readonly coordinator: string;
  readonly run?: string | undefined;
  /** A file that pins chain and contracts. */
  readonly deployment?: string | undefined;
}

/** A run that a coordinator serves, and where it lives on-chain. */
export interface RemoteRun {
  readonly client: CoordinatorClient;
  readonly runId: RunId;
  /** As it was when it was asked for. */
  readonly view: RunView;
  readonly chainId: number;
  readonly contracts: ContractAddresses;
  /** An RPC that the coordinator tells of. */
  readonly rpcUrl: string | null;
  readonly fromBlock: number;
  /** ComputeEscrow, where the user named a deployment that has it. */
  readonly escrow?: Address | undefined;
  /** Of the deployment that the user named, with chain and contracts; undefined where these are the coordinator's word. */
  readonly pins: Pins | undefined;
}

/**
 * Asks a coordinator for a run.
 * @throws ProtocolError as `findRun`; UserError `DEPLOYMENT_MISMATCH` when it names another chain or contract than the deployment
 */
export async function openRemoteRun(options: RemoteOptions): Promise<RemoteRun> {
  const pinned = options.deployment === undefined ? undefined : await readNamedDeployment(options.deployment);
  const client = createCoordinatorClient(options.coordinator);
  const runId = await findRun(client, options.run);
  const view = await client.run(runId);
  const { chainId, contracts, rpcUrl, deployment } = view;
  if (!pinned)
    return { client, runId, view, chainId, contracts, rpcUrl, fromBlock: firstBlockOf(deployment), pins: undefined };
  const who = `The coordinator at ${client.url}`;
  requireDeployment(options.deployment ?? "", pinned, who, { chainId, addresses: contracts });
  const { addresses } = pinned;
  return {
    client,
    runId,
    view,
    chainId: pinned.chainId,
    contracts: addresses,
    rpcUrl,
    fromBlock: firstBlockOf(pinned),
    escrow: pinned.computeEscrow,
    pins: pinsOf(pinned),
  };
}

/** A run that the user names with its deployment: no coordinator is asked. */
export async function openPinnedRun(options: { readonly run: string; readonly deployment: string }) {
  const deployment = await readNamedDeployment(options.deployment);
  const { chainId, addresses } = deployment;
  const pins = pinsOf(deployment);
  return { runId: asRunId(options.run), chainId, contracts: addresses, fromBlock: firstBlockOf(deployment), pins };
}

/** Refuses a deployment that is not the one of the file. @param who names it, as the subject of a sentence */
function requireDeployment(
  file: string,
  pinned: DeploymentFile,
  who: string,
  named: Pick<DeploymentFile, "chainId" | "addresses">,
): void {
  const pairs: [what: string, theirs: string | number, ours: string | number][] = [
    ["chain", named.chainId, pinned.chainId],
    ...(Object.keys(pinned.addresses) as (keyof ContractAddresses)[]).map((key): [string, string, string] => [
      key,
      named.addresses[key].toLowerCase(),
      pinned.addresses[key].toLowerCase(),
    ]),
  ];
  const other = pairs.find(([, theirs, ours]) => theirs !== ours);
  if (!other) return;
  const [what, theirs, ours] = other;
  throw new UserError(
    "DEPLOYMENT_MISMATCH",
    `${who} names the ${what} ${theirs}, but ${file} has ${ours}: it serves another deployment, or it lies.`,
  );
}

/** Refuses a state of another deployment than that of a file that the user names. */
export async function requireNamedDeployment(
  { state, deployment }: { readonly state: string; readonly deployment: Pick<DeploymentFile, "chainId" | "addresses"> },
  file: string | undefined,
): Promise<void> {
  if (file !== undefined) requireDeployment(file, await readNamedDeployment(file), state, deployment);
}

/** A reader of the chain that a coordinator's run lives on. @throws as {@link openRemoteRun} and the connection */
export async function remoteReader(rpcUrl: string, options: RemoteOptions): Promise<ChainReader> {
  const { chainId, contracts, fromBlock } = await openRemoteRun(options);
  return openReader({ rpcUrl, chainId, contracts, fromBlock });
}
