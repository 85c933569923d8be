/**
 * What is proved of the contracts for all values at once, by the functions `check_…` in test/contracts/symbolic; within which
 * bounds; and which guards each proof is about: with one of them taken out, halmos must find values that break the proof.
 * docs/proofs.md has the table.
 */
interface Guard {
  /** For people: "without …". */
  readonly what: string;
  readonly file: string;
  /** Stands once in the file, and becomes `instead`, which is nothing where it is not said. */
  readonly text: string;
  readonly instead?: string;
}

export interface Proof {
  /** Of test/contracts/symbolic. */
  readonly contract: string;
  readonly check: string;
  /** What holds, in a sentence. */
  readonly holds: string;
  /** For which values it was shown, beside all values of what the sentence does not name. */
  readonly within: string;
  readonly guards: readonly Guard[];
}

const rewards = "contracts/rewards/ComputeRewards.sol";
const hashes = "contracts/libraries/ProtocolHashes.sol";
const budget = "contracts/treasury/ComputeBudget.sol";
const revenue = "contracts/rewards/RevenueDeposits.sol";
const emission = "contracts/emission/Emission.sol";

const inTree: Guard = {
  what: "the proof that a leaf is in the tree",
  file: rewards,
  text: "if (!MerkleProof.verifyCalldata(leaf.proof, root.root, hash)) {",
  instead: "if (false) {",
};
const week = "epochs of 7 days, times up to 136 years after the model's creation";

export const proofs: readonly Proof[] = [
  {
    contract: "ClaimProofs",
    check: "check_aClaimPaysItsLeafWithinTheTotal",
    holds:
      "A claim pays the account exactly what its leaf says, whoever calls, counts it, and no root pays more than its total.",
    within: "one claim; any root number, amount, total and sum paid before; proofs of one hash",
    guards: [
      {
        what: "the limit of the total",
        file: rewards,
        text: "if (paid > root.total) revert ComputeRewardsAboveTotal(index, paid, root.total);",
      },
      { what: "counting what was paid", file: rewards, text: "root.paid = uint128(paid);" },
      {
        what: "the account as who is paid",
        file: rewards,
        text: "_pay(pool, modelId, kind, account, account, amount, roots);",
        instead: "_pay(pool, modelId, kind, account, msg.sender, amount, roots);",
      },
    ],
  },
  {
    contract: "ClaimProofs",
    check: "check_aRootPaysAnAccountOnce",
    holds: "What an account has claimed from a root is all that it ever gets from it.",
    within: "two claims, the second with any amount; proofs of no or one hash",
    guards: [
      { what: "remembering the claim", file: rewards, text: "bits[index >> 8] = word | bit;" },
      { what: "looking whether it was paid", file: rewards, text: "if (word & bit != 0) return 0;" },
    ],
  },
  {
    contract: "ClaimProofs",
    check: "check_nothingIsPaidButLeavesOfTheTree",
    holds: "Nothing is paid but the leaves of the tree: no inner node, no shorter and no longer proof serves.",
    within: "trees of two leaves; proofs of 0 to 2 hashes; hashes without collisions",
    guards: [
      inTree,
      {
        what: "the amount in the leaf",
        file: hashes,
        text: "_leaf(abi.encode(kind, modelId, index, account, amount))",
        instead: "_leaf(abi.encode(kind, modelId, index, account))",
      },
    ],
  },
  {
    contract: "ClaimProofs",
    check: "check_aLeafServesUnderNoOtherNumber",
    holds: "A leaf is paid by the root of its own number alone, though another root be the same.",
    within: "trees of one leaf; proofs of 0 to 2 hashes; hashes without collisions",
    guards: [
      {
        what: "the root's number in the leaf",
        file: hashes,
        text: "_leaf(abi.encode(kind, modelId, index, account, amount))",
        instead: "_leaf(abi.encode(kind, modelId, account, amount))",
      },
    ],
  },
  {
    contract: "ClaimProofs",
    check: "check_withoutARootNothingIsPaid",
    holds: "A number that no active root has pays nobody.",
    within: "one other root active; proofs of 0 to 2 hashes; no hash is zero",
    guards: [inTree],
  },
  {
    contract: "ClaimProofs",
    check: "check_anotherIsPaidByTheAccountsOrderAlone",
    holds: "Another than the account is paid by an order that the account signed, in time, and did not take back.",
    within: "accounts that are contracts (ERC-1271), since signatures of keys are OpenZeppelin's; one leaf",
    guards: [
      {
        what: "the signature",
        file: rewards,
        text: "if (!SignatureChecker.isValidSignatureNowCalldata(order.account, digest, signature)) {",
        instead: "if (false) {",
      },
      {
        what: "the order's number",
        file: rewards,
        text: "if (order.nonce != nonce) revert ComputeRewardsOrderRevoked(order.nonce, nonce);",
      },
      {
        what: "the deadline",
        file: rewards,
        text: "if (block.timestamp > order.deadline) revert ComputeRewardsOrderExpired(order.deadline);",
      },
    ],
  },
  {
    contract: "ComputeBudgetProofs",
    check: "check_anEpochSpendsItsCapAtMost",
    holds:
      "Payments from a budget of the treasury in one epoch are within its cap, go from the treasury to the recipient, and are counted.",
    within: `two payments; ${week}`,
    guards: [
      {
        what: "the cap",
        file: budget,
        text: "if (amount > terms.perEpoch - spent) revert ComputeBudgetExceeded(id, amount, terms.perEpoch - spent);",
      },
      {
        what: "counting what the epoch spent",
        file: budget,
        text: "(budget.spentIn, budget.spent) = (uint48(epoch), uint128(spent + amount));",
      },
    ],
  },
  {
    contract: "ComputeBudgetProofs",
    check: "check_theRecipientAloneSpendsWhileItLasts",
    holds: "Nobody spends a budget but its recipient, before it expires and before the holders end it.",
    within: `one payment; ${week}`,
    guards: [
      {
        what: "the recipient",
        file: budget,
        text: "if (msg.sender != terms.recipient) revert ComputeBudgetNotRecipient(id, msg.sender, terms.recipient);",
      },
      {
        what: "the end by the holders",
        file: budget,
        text: "if (budget.revokedAt != 0) revert ComputeBudgetEnded(id, budget.revokedAt);",
      },
      {
        what: "the expiry",
        file: budget,
        text: "if (block.timestamp > terms.expiry) revert ComputeBudgetExpired(id, terms.expiry);",
      },
    ],
  },
  {
    contract: "ComputeBudgetProofs",
    check: "check_whatIsSaidToBeLeftIsLeft",
    holds: "What a budget says is left can be spent, and no more can.",
    within: `after one payment; ${week}`,
    guards: [
      {
        what: "the end in what is said",
        file: budget,
        text: "if (budget.revokedAt != 0 || block.timestamp > budget.terms.expiry) return 0;",
        instead: "if (block.timestamp > budget.terms.expiry) return 0;",
      },
      {
        what: "the expiry in what is said",
        file: budget,
        text: "if (budget.revokedAt != 0 || block.timestamp > budget.terms.expiry) return 0;",
        instead: "if (budget.revokedAt != 0) return 0;",
      },
    ],
  },
  {
    contract: "ComputeBudgetProofs",
    check: "check_theTimelockAloneOpensBudgets",
    holds: "The timelock alone opens a budget, to another than itself, for a year at the most.",
    within: "one budget, opened as the model begins",
    guards: [
      {
        what: "the timelock",
        file: budget,
        text: ") external onlyTimelock(modelId) returns (uint256 id) {",
        instead: ") external returns (uint256 id) {",
      },
      {
        what: "the year",
        file: budget,
        text: '_requireWithin("expiry", terms.expiry, block.timestamp, block.timestamp + MAX_TIME);',
      },
    ],
  },
  {
    contract: "RevenueBudgetProofs",
    check: "check_rootsGetWhatArrivedAtMost",
    holds: "Roots of revenue get what arrived through their last epoch at the most, and nothing twice.",
    within: `two deposits, the first of the smallest unit in epoch 1, and two roots of any last epoch; ${week}`,
    guards: [
      {
        what: "the limit",
        file: revenue,
        text: "if (amount > limit) revert RevenueDepositsOverBudget(amount, limit);",
      },
      { what: "counting what was set aside", file: revenue, text: "_books[modelId].setAside += uint128(amount);" },
    ],
  },
  {
    contract: "RevenueBudgetProofs",
    check: "check_rewardsAloneSetsAsideAndPays",
    holds: "Nobody but ComputeRewards sets revenue aside or pays it.",
    within: "one call",
    guards: [
      {
        what: "who calls",
        file: revenue,
        text: "if (msg.sender != REWARDS) revert RevenueDepositsOnlyRewards(msg.sender);",
      },
    ],
  },
  {
    contract: "EmissionProofs",
    check: "check_aBudgetKeepsTheYearlyCap",
    holds:
      "No budget lets a year's epochs mint more than the yearly cap, of which the founders' shares are a part in the first year; and its parts sum to the whole.",
    within: `the first budget and one after it; caps up to 2⁹⁶; ${week}`,
    guards: [
      {
        what: "the cap",
        file: emission,
        text: "if (perEpoch * epochs > cap) revert EmissionAboveYearlyCap(perEpoch * epochs, cap);",
      },
      {
        what: "the founders' part",
        file: emission,
        text: "fromEpoch > epochs ? books.yearlyCap : books.yearlyCap - books.founders;",
        instead: "books.yearlyCap;",
      },
      { what: "the sum of the parts", file: emission, text: "if (sum != Protocol.BPS) revert EmissionSplit(sum);" },
    ],
  },
  {
    contract: "EmissionProofs",
    check: "check_theTimelockAloneReplacesTheNewestBudget",
    holds:
      "The timelock alone sets a budget, in place of the newest, and it is in force from the next epoch on, never in the present one.",
    within: `the second budget; ${week}`,
    guards: [
      {
        what: "the timelock",
        file: emission,
        text: "        uint16[KINDS] calldata bps\n    ) external onlyTimelock(modelId) {",
        instead: "        uint16[KINDS] calldata bps\n    ) external {",
      },
      {
        what: "the version that it replaces",
        file: emission,
        text: "if (replaces != latest) revert EmissionBudgetReplaced(modelId, replaces, latest);",
      },
      {
        what: "waiting for the next epoch",
        file: emission,
        text: "_setBudget(modelId, schedule, Epochs.at(schedule, block.timestamp) + 1, perEpoch, bps);",
        instead: "_setBudget(modelId, schedule, Epochs.at(schedule, block.timestamp), perEpoch, bps);",
      },
    ],
  },
  {
    contract: "EmissionProofs",
    check: "check_epochsAreAuthorisedOnce",
    holds:
      "Roots mint what their epochs have for compute at the most; no epoch serves twice, and none before it begins.",
    within: "two roots of epochs 1 to 3, as epoch 2 begins; any budget up to 2⁹⁶, 70% of it for compute",
    guards: [
      {
        what: "the limit",
        file: emission,
        text: "        if (amount > limit) revert EmissionOverBudget(amount, limit);\n\n        Authorised",
        instead: "        Authorised",
      },
      {
        what: "remembering what is authorised",
        file: emission,
        text: "if (to > authorised.through) (authorised.through, authorised.drawn) = (uint32(to), 0);",
      },
      {
        what: "the epoch's beginning",
        file: emission,
        text: "if (from == 0 || from > to || to > current) revert",
        instead: "if (from == 0 || from > to) revert",
      },
    ],
  },
  {
    contract: "EmissionProofs",
    check: "check_aKindsDistributorAloneMints",
    holds: "Nobody mints by authorising but the distributor of the kind, and nobody at all the treasury's part.",
    within: `one call; every kind; ${week}`,
    guards: [
      {
        what: "the distributor",
        file: emission,
        text: "        _requireDistributor(modelId, kind);\n        // The holders would",
        instead: "        // The holders would",
      },
      {
        what: "the refusal of the treasury's part",
        file: emission,
        text: "if (kind == TREASURY) revert EmissionNotDistributor(kind, msg.sender);",
      },
    ],
  },
  {
    contract: "EmissionProofs",
    check: "check_anOldEpochMintsNothing",
    holds:
      "What roots mint is of epochs that ended 30 days before the time of judgement at the earliest: the budget of older ones is gone.",
    within: "one root of epochs 1 to 3, of 7 days each, as epoch 4 begins; any time of judgement",
    guards: [
      {
        what: "the age",
        file: emission,
        text: "first = Math.max(first, Epochs.firstEndingFrom(schedule, Math.saturatingSub(asOf, Protocol.BUDGET_AGE)));",
      },
    ],
  },
  {
    contract: "EmissionProofs",
    check: "check_aSuccessorWaits",
    holds: "A successor distributes 14 days after it was named, and the present distributor until then.",
    within: week,
    guards: [{ what: "the delay", file: emission, text: "from += uint48(Protocol.SUCCESSION_DELAY);" }],
  },
];

/** The table of docs/proofs.md. */
export const tableOf = (those: readonly Proof[]): string =>
  [
    "| what holds | within | broken, as it must be, without | proof |",
    "|---|---|---|---|",
    ...those.map(({ holds, within, guards, contract, check }) => {
      const without = guards.map(({ what }) => what).join("; ");
      return `| ${holds} | ${within} | ${without} | \`${contract}.${check.replace("check_", "")}\` |`;
    }),
  ].join("\n");
