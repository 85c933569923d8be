/** Defences of how revenue is shared out, and of `cotrain revenue`. */
import type { Breakage } from "./breakage.ts";

const tests = ["test/offchain/cli/revenue.test.ts"];
const root = ["test/offchain/cli/revenueRoot.test.ts"];
const sharing = ["test/sdk/revenueShares.test.ts"];

export const revenue: readonly Breakage[] = [
  {
    name: "a wallet pays revenue to whom a coordinator names",
    file: "offchain/src/cli/commands/revenue.ts",
    text: "if (!place.pinned)",
    instead: "if (place.entries.length > 1_000)",
    tests,
  },
  {
    name: "revenue is paid before anybody says --yes",
    file: "offchain/src/cli/commands/revenue.ts",
    text: "if (!options.yes || !entry)",
    instead: "if (!entry)",
    tests,
  },
  {
    name: "deposits that a node leaves out are shared by nobody",
    file: "offchain/src/run/revenueShares.ts",
    text: "0n) !== after - before)",
    instead: "0n) > after)",
    tests,
  },
  {
    name: "what lies in the treasury and the model's contracts has a share in revenue",
    file: "offchain/src/run/revenueShares.ts",
    text: "    ...Object.values(distributors),\n",
    instead: "",
    tests,
  },
  {
    name: "contracts that distribute in another's place have a share in revenue",
    file: "offchain/src/run/revenueShares.ts",
    text: "[...new Set([...all, ...named])]",
    instead: "[...new Set(named.length < 0 ? named : all)]",
    tests,
  },
  {
    name: "contracts that holders have only named have no share in revenue",
    file: "offchain/src/run/revenueShares.ts",
    text: "({ from }) => from < end",
    instead: "({ from }) => from < 2 * end",
    tests,
  },
  {
    name: "a naming that a node leaves out changes who shares in revenue",
    file: "offchain/src/run/successors.ts",
    text: "if (one !== undefined && !isTold)",
    instead: "if (one !== undefined && namings.length > 1_000)",
    tests: ["test/offchain/run/successors.test.ts"],
  },
  {
    name: "a contract that holders took back counts as one that took over",
    file: "offchain/src/run/successors.ts",
    text: "if (before === undefined || before.present === naming.present) continue;",
    instead: "if (before === undefined) continue;",
    tests: ["test/offchain/run/successors.test.ts"],
  },
  {
    name: "roots of revenue count among those of compute",
    file: "offchain/src/chain/reads/events.ts",
    text: "query: rootPosted({ addresses, modelId, kind: rewardKind.compute })",
    instead: "query: rootPosted({ addresses, modelId })",
    tests,
  },
  {
    name: "a validator signs the root of revenue that a file names",
    file: "offchain/src/run/revenueRoot.ts",
    text: 'structHash("Attestation", own.struct) !== structHash("Attestation", struct)',
    instead: "own.struct.modelId !== struct.modelId",
    tests: root,
  },
  {
    name: "a root of revenue is signed for longer than validators sign",
    file: "offchain/src/run/revenueRoot.ts",
    text: "deadline > revenue.now + MAX_DEADLINE_DELAYS",
    instead: "deadline > 2 ** 50 * MAX_DEADLINE_DELAYS",
    tests: root,
  },
  {
    name: "a root of revenue is read at a block that the signer's chain does not have",
    file: "offchain/src/run/revenueRoot.ts",
    text: "(await reader.blockHash(block.number)) !== block.hash",
    instead: "block.number < 0",
    tests: root,
  },
  {
    name: "what moves within an epoch counts for all of it",
    file: "sdk/src/protocol/revenue.ts",
    text: "change * BigInt(epochs[current]!.end - time)",
    instead: "change * BigInt(epochs[current]!.end - epochs[current]!.start)",
    tests: sharing,
  },
  {
    name: "contracts of the protocol take a part of revenue",
    file: "sdk/src/protocol/revenue.ts",
    text: ".filter(([account]) => !out.has(account))",
    instead: "",
    tests: sharing,
  },
  {
    name: "a root of revenue pays accounts without end",
    file: "sdk/src/protocol/revenue.ts",
    text: "sums.size > MAX_REVENUE_ACCOUNTS ?",
    instead: "sums.size < 0 ?",
    tests: sharing,
  },
  {
    name: "holders are paid more than arrived",
    file: "sdk/src/protocol/revenue.ts",
    text: "if (paid > available)",
    instead: "if (paid < 0n)",
    tests: sharing,
  },
  {
    name: "transfers that are left out make balances below nothing",
    file: "sdk/src/protocol/revenue.ts",
    text: "if (sum < 0n)",
    instead: "if (sum < -(10n ** 40n))",
    tests: sharing,
  },
];
