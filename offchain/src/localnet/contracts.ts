/** The contracts of a local network: deployed or found, with the model and the run registered in them. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

import type { Address, ContractAddresses, Hex, ModelId, RunId, RunParams } from "@cotrain/sdk/protocol";

import {
  type CapitalSettings,
  defaultRecordPath,
  deploy,
  type FoundersSettings,
  profileFor,
} from "../../../deploy/deployment.ts";
import { connect } from "../chain/index.ts";
import {
  layout,
  type Pins,
  pinsOf,
  registerRunOnChain,
  type RunMaterial,
  workOn,
  writeDeployment,
} from "../run/index.ts";
import type { RunFile } from "../service/index.ts";
import type { BlobStore } from "../storage/index.ts";
import type { OpenedChain } from "./chain.ts";
import { foundedBy } from "./founders.ts";
import { type Owner, ownerOf } from "./owners.ts";
import { shownWith } from "./players.ts";

/** Of three validators. */
const THRESHOLD = 2;

/** How shares are sold for test dollars, which have six decimals: at a cent at the least, for ever, and at two cents at first. */
const localSale = { priceFloor: 10_000n, price: 20_000n, minimum: 1_000_000n } as const;

export interface Deployed {
  readonly addresses: Readonly<ContractAddresses>;
  /** The block of each contract. */
  readonly pins: Pins;
  readonly blocks: Readonly<Record<string, number>>;
  /** The capital token of models on development chains. */
  readonly testDollar?: Address | undefined;
}

export interface DeployRequest {
  readonly state: string;
  readonly chain: OpenedChain;
  readonly embedded: boolean;
  /** Directory of records, where the user names one. */
  readonly deployments: string | undefined;
  readonly say: (lines: readonly string[]) => void;
}

const walletOf = (owner: Owner) => owner.client as Parameters<typeof deploy>[0]["walletClient"];

const profileOf = ({ local, chainId }: OpenedChain) => profileFor(local ? "local" : "public", chainId);

/** The embedded chain's deployment belongs to its state; any other is recorded where all that runs on it find it. */
function recordOf(
  directory: string | undefined,
  own: string | undefined,
  chainId: number,
): { readonly recordPath?: string } {
  if (own !== undefined) return { recordPath: own };
  return directory === undefined ? {} : { recordPath: join(resolve(directory), `${chainId}.json`) };
}

/** Deploys what is missing; `deployment.json` of the state names it all. */
export async function deployContracts({ state, chain, embedded, deployments, say }: DeployRequest): Promise<Deployed> {
  const { chainId } = chain;
  const organiser = ownerOf("organiser", chain, chain.wallets.organiser);
  const connection = await connect({ rpcUrl: chain.url, chainId });
  const place = recordOf(deployments, embedded ? layout(state).deployment : undefined, chainId);
  // A public chain's record lies in the tree of sources, where a new file is a surprise.
  const recordPath = embedded ? undefined : (place.recordPath ?? defaultRecordPath(chainId));
  const recorded = recordPath !== undefined && existsSync(recordPath);
  const profile = profileOf(chain).name;
  const deployment = await workOn(connection, ({ client }) =>
    deploy({ walletClient: walletOf(organiser), publicClient: client, profile, ...place }),
  );
  if (recordPath !== undefined && !recorded && existsSync(recordPath))
    say([`The deployment is recorded in ${recordPath}, a new file: keep it with the sources.`]);
  await writeDeployment(state, {
    chainId: deployment.chainId,
    profile: deployment.profile,
    addresses: { ...deployment.addresses },
    ...pinsOf(deployment),
    computeEscrow: deployment.computeEscrow,
    ...(deployment.testDollar === undefined ? {} : { testDollar: deployment.testDollar }),
    blocks: { ...deployment.blocks },
  });
  const { addresses, blocks, testDollar } = deployment;
  return { addresses, pins: pinsOf(deployment), blocks, testDollar };
}

/** What a run is registered with, once and for all: drawn at its first start. */
export function saltOf(file: RunFile | undefined): Hex {
  const kept = file?.settings?.["salt"];
  return typeof kept === "string" ? (kept as Hex) : `0x${randomBytes(32).toString("hex")}`;
}

/** What the shares name as their terms (ERC-7572): whoever holds some should find no less there than is so. Its bytes lie on the chain. */
export const MODEL_URI = `data:application/json,${JSON.stringify({
  name: "Cotrain Model",
  description:
    "Shares are votes on this model, no legal claim. Its organiser has chosen no licence for its code and weights.",
})}`;

export interface RegisterRequest {
  readonly chain: OpenedChain;
  readonly deployed: Deployed;
  readonly params: RunParams;
  readonly salt: Hex;
  readonly founders: FoundersSettings | undefined;
  /** What shares are sold for where there are no test dollars. */
  readonly sale: CapitalSettings | undefined;
}

/** Registers a model of its own for a new run, and the run. */
export async function registerRun(
  blobs: BlobStore,
  material: RunMaterial,
  { chain, deployed, params, salt, founders, sale }: RegisterRequest,
): Promise<{ readonly modelId: ModelId; readonly runId: RunId }> {
  const { wallets, chainId } = chain;
  const connection = await connect({ rpcUrl: chain.url, chainId });
  const validators = wallets.validators
    .map(({ address }) => address)
    .sort((a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1));
  const capital = sale ?? (deployed.testDollar && { token: deployed.testDollar, ...localSale });
  return workOn(connection, () =>
    registerRunOnChain(blobs, material, {
      client: ownerOf("organiser", chain, wallets.organiser).client,
      chainId,
      addresses: deployed.addresses,
      salt,
      poster: wallets.poster.address,
      params,
      model: {
        name: "Cotrain Model",
        symbol: "COTRAIN",
        uri: MODEL_URI,
        ...foundedBy(founders, shownWith(wallets.players, profileOf(chain).model)),
        ...(capital && { capital }),
        validators,
        threshold: THRESHOLD,
      },
    }),
  );
}
