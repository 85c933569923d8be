/** Defences of claims, and of roots that anybody brings on. */
import type { Breakage } from "./breakage.ts";

const post = ["test/offchain/cli/rewardsPost.test.ts"];
const elsewhere = ["test/offchain/cli/claimElsewhere.test.ts"];

const announcing = ["test/offchain/cli/announcing.test.ts"];

export const claims: readonly Breakage[] = [
  {
    name: "verify says nothing of a model's bootstrap",
    file: "offchain/src/chain/reads/models.ts",
    text: "if (endedAt !== 0) return undefined;",
    instead: "if (endedAt === 0) return undefined;",
    tests: [...announcing, "test/offchain/cli/founders.test.ts"],
  },
  {
    name: "a model's bootstrap is told to end when it may, and not when it must",
    file: "offchain/src/chain/reads/models.ts",
    text: "endOfEpoch(await schedule(modelId), maxEpochs);",
    instead: "endOfEpoch(await schedule(modelId), Math.min(epochs, maxEpochs));",
    tests: announcing,
  },
  {
    name: "a claim for another account claims for whoever sends",
    file: "offchain/src/cli/revenueClaims.ts",
    text: "TREASURY : ELSEWHERE, account, sender, own: false }];",
    instead: "TREASURY : ELSEWHERE, account: sender?.account ?? account, sender, own: false }];",
    tests: [...elsewhere, "test/offchain/cli/revenueRoot.test.ts"],
  },
  {
    name: "a claim for one wallet of a directory is one for an account elsewhere",
    file: "offchain/src/cli/revenueClaims.ts",
    text: "if (known) return",
    instead: "if (!known) return",
    tests: elsewhere,
  },
  {
    name: "a claim for another account is taken with what only its own key can do",
    file: "offchain/src/cli/commands/rewardsClaim.ts",
    text: "claimants.some(({ own }) => !own) &&",
    instead: "claimants.some(({ own }) => own) &&",
    tests: elsewhere,
  },
  {
    name: "a claim for another account gives the votes of whoever sends away",
    file: "offchain/src/cli/commands/rewardsClaim.ts",
    text: "const votes = own && options.delegate;",
    instead: "const votes = options.delegate;",
    tests: elsewhere,
  },
  {
    name: "a treasury is not shown where nobody serves documents",
    file: "offchain/src/cli/commands/treasury.ts",
    text: "if (!(error instanceof CotrainError)) throw error;\n    return { shares: undefined",
    instead: "if (error) throw error;\n    return { shares: undefined",
    tests: elsewhere,
  },
  {
    name: "a root is activated before its window is over, as far as a node lets one",
    file: "offchain/src/cli/activating.ts",
    text: "if ((await nowOf(place)) < activatableAt)",
    instead: "if (Number.isNaN(activatableAt))",
    tests: [...elsewhere, "test/offchain/cli/revenueRoot.test.ts"],
  },
  {
    name: "a root is posted into contracts that a coordinator names",
    file: "offchain/src/cli/commands/rewardsRoot.ts",
    text: "      requirePinned(place);\n",
    instead: "",
    tests: post,
  },
  {
    name: "a root is posted without asking",
    file: "offchain/src/cli/commands/rewardsRoot.ts",
    text: "transaction: options.yes ? await",
    instead: "transaction: !output.json || options.yes ? await",
    tests: post,
  },
  {
    name: "a root is posted with any bond",
    file: "offchain/src/cli/commands/rewardsRoot.ts",
    text: "atMost: weiOf(options.bondAtMost),",
    instead: "atMost: 2n ** 128n + BigInt(Math.floor(options.bondAtMost)),",
    tests: post,
  },
  {
    name: "a root is posted with signatures of strangers",
    file: "offchain/src/run/signedRoots.ts",
    text: "validators.includes(signer)",
    instead: "validators.length > 0",
    tests: post,
  },
  {
    name: "a root that a dispute has ended is posted again",
    file: "offchain/src/run/signedRoots.ts",
    text: 'structHash("Attestation", attestation))) !== undefined;',
    instead: 'structHash("Attestation", attestation))) === "stands";',
    tests: post,
  },
  {
    name: "a root that another set of validators signed is posted",
    file: "offchain/src/run/signedRoots.ts",
    text: "if (setVersion !== version || isGone) continue;",
    instead: "if (version === 0 || isGone) continue;",
    tests: post,
  },
  {
    name: "signatures are posted in the order in which they are served",
    file: "offchain/src/run/signedRoots.ts",
    text: ".toSorted(([a], [b]) => (a < b ? -1 : 1))",
    instead: "",
    tests: post,
  },
  {
    name: "who serves a signature of nobody's beside the others keeps a root from being posted",
    file: "offchain/src/chain/signers.ts",
    text: "recoverSigner(domain, name, struct, signature).catch(() => undefined);",
    instead: "recoverSigner(domain, name, struct, signature);",
    tests: post,
  },
  {
    name: "who posts a root loses its bond to another contract that takes over",
    file: "offchain/src/cli/commands/rewardsRoot.ts",
    text: "replacedFrom: replacementIn(connection, addresses),",
    instead: "replacedFrom: async () => void replacementIn(connection, addresses),",
    tests: post,
  },
  {
    name: "a root of another number is posted",
    file: "offchain/src/run/signedRoots.ts",
    text: "|| Number(attestation.index) !== index) continue;",
    instead: "|| index === 0) continue;",
    tests: post,
  },
  {
    name: "an order to pay another serves for ten hours",
    file: "offchain/src/run/claims.ts",
    text: "const ORDER_SECONDS = 3_600n;",
    instead: "const ORDER_SECONDS = 36_000n;",
    tests: ["test/offchain/run/claims.test.ts"],
  },
  {
    name: "revenue is claimed for who asked though the vault is short",
    file: "offchain/src/coordinator/claimDuty.ts",
    text: "if (granted.short === 0n)",
    instead: "if (granted.short >= 0n)",
    tests: ["test/offchain/coordinator/claimRevenue.test.ts"],
  },
  {
    name: "revenue is claimed for who asked, however little",
    file: "offchain/src/run/revenueAccounts.ts",
    text: "least: leastOf(least, token)",
    instead: "least: leastOf(0, token)",
    tests: ["test/offchain/coordinator/claimRevenue.test.ts"],
  },
  {
    name: "what was claimed for who asked is looked for as if it were work's",
    file: "offchain/src/coordinator/claimDuty.ts",
    text: "leaves: await leavesOf(account) }, kind);",
    instead: "leaves: await leavesOf(account) });",
    tests: ["test/offchain/coordinator/claimRevenue.test.ts"],
  },
];
