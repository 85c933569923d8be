/** What decisions about the treasury, the emission and a rollback cost: rows of gas.test.ts. */
import { type Address, type Hex, keccak256, stringToHex } from "viem";

import type { ContractName } from "../../deploy/deployment.ts";

interface Receipt {
  readonly gasUsed: bigint;
}
type Sent = [to: Address, name: ContractName, functionName: string, args: readonly unknown[]];

interface Measuring {
  readonly contracts: Readonly<
    Record<"emission" | "checkpointRegistry" | "computeBudget" | "shares" | "recipient", Address>
  >;
  readonly modelId: Hex;
  readonly runId: Hex;
  /** By the timelock. */
  readonly decide: (...sent: Sent) => Promise<Receipt>;
  /** By the account of this index: 7 is the recipient. */
  readonly send: (from: number, ...sent: Sent) => Promise<Receipt>;
  readonly read: (...sent: Sent) => Promise<unknown>;
  readonly row: (name: string, receipt: Receipt) => void;
  readonly now: () => Promise<bigint>;
  /** The next block is of the next epoch. */
  readonly epoch: () => Promise<unknown>;
}

const share = 10n ** 18n;

export async function measureTreasury({
  contracts: { emission, checkpointRegistry, computeBudget, shares, recipient },
  modelId,
  runId,
  decide,
  send,
  read,
  row,
  now,
  epoch,
}: Measuring): Promise<void> {
  row("draw for the treasury", await decide(emission, "Emission", "draw", [modelId, 4, 10n * share]));
  await decide(shares, "ModelShares", "approve", [computeBudget, 10n * share]);
  const terms = { recipient, token: shares, perEpoch: 10n * share, expiry: (await now()) + 86_400n };
  const opening = [modelId, terms, "GPUs of the spring"];
  row("open a compute budget", await decide(computeBudget, "ComputeBudget", "open", opening));
  await epoch();
  for (const name of ["spend of a compute budget, first", "spend of a compute budget, later"])
    row(name, await send(7, computeBudget, "ComputeBudget", "spend", [modelId, 1n, share, "invoice 12"]));
  row("end a compute budget", await decide(computeBudget, "ComputeBudget", "revoke", [modelId, 1n]));
  row("name a successor", await decide(emission, "Emission", "nameSuccessor", [modelId, 3, computeBudget]));
  const [newest] = (await read(checkpointRegistry, "CheckpointRegistry", "headOf", [runId])) as [Hex];
  const back = [runId, newest, 1n, keccak256(stringToHex("back"))];
  row("roll a run back", await decide(checkpointRegistry, "CheckpointRegistry", "rollback", back));
}
