/** Defences of `cotrain capital` and of what the SDK says of sales: what a wallet pays, and for what. */
import type { Breakage } from "./breakage.ts";

const tests = ["test/offchain/cli/capital.test.ts"];
const deposits = ["test/offchain/cli/capitalDeposit.test.ts"];

export const capital: readonly Breakage[] = [
  {
    name: "a wallet pays whom a coordinator names",
    file: "offchain/src/cli/commands/capitalBuy.ts",
    text: "if (!place.pinned)",
    instead: "if (place.entries.length > 1_000)",
    tests,
  },
  {
    name: "a deposit is made before anybody says --yes",
    file: "offchain/src/cli/commands/capitalBuy.ts",
    text: "if (!options.yes || !entry)",
    instead: "if (!entry)",
    tests,
  },
  {
    name: "a deposit is sent at another price than was shown",
    file: "offchain/src/cli/commands/capitalBuy.ts",
    text: "found.price !== shown.price || ",
    instead: "",
    tests: deposits,
  },
  {
    name: "a deposit is sent with another minimum than was shown",
    file: "offchain/src/cli/commands/capitalBuy.ts",
    text: " || found.minimum !== shown.minimum",
    instead: "",
    tests: deposits,
  },
  {
    name: "a deposit is sent where another number of shares is for sale than was shown",
    file: "offchain/src/cli/commands/capitalBuy.ts",
    text: " || found.forSale !== shown.forSale",
    instead: "",
    tests: deposits,
  },
  {
    name: "a deposit is sent though a share costs more by now",
    file: "offchain/src/cli/commands/capitalBuy.ts",
    text: "    requireCost(capital, found, purchase, most);\n    const deposit",
    instead: "    const deposit",
    tests: deposits,
  },
  {
    name: "what a share may cost at the most is compared before anything is sent and no more then",
    file: "offchain/src/cli/commands/capitalBuy.ts",
    text: "const { amount, beneficiary, most = costWith(shown, purchase) } = purchase;",
    instead: "const { amount, beneficiary } = purchase; const most = costWith(shown, purchase);",
    tests: deposits,
  },
  {
    name: "a share costs what is asked for however much is bought",
    file: "offchain/src/run/capital.ts",
    text: "return shared > price ? shared : price;",
    instead: "return shared < 0n ? shared : price;",
    tests: deposits,
  },
  {
    name: "an amount that the token cannot have is rounded",
    file: "offchain/src/run/capital.ts",
    text: " && fraction.length <= decimals",
    instead: "",
    tests,
  },
  {
    name: "nothing is an amount",
    file: "offchain/src/run/capital.ts",
    text: "if (amount > 0n) return amount;",
    instead: "return amount;",
    tests,
  },
  {
    name: "the money of an account is fetched for another",
    file: "offchain/src/cli/commands/capitalCollect.ts",
    text: "sale: capital.sale, modelId: place.modelId, epoch, beneficiary: account",
    instead: "sale: capital.sale, modelId: place.modelId, epoch, beneficiary: place.entries[0]?.account ?? account",
    tests,
  },
  {
    name: "what others bought is not settled before it is claimed",
    file: "offchain/src/cli/commands/capitalCollect.ts",
    text: "const before = ready.some((",
    instead: "const before = accounts.length > 1_000 && ready.some((",
    tests,
  },
  {
    name: "words of a sale's terms pass over the minimum",
    file: "offchain/src/run/saleWords.ts",
    text: ", and pays an epoch back that brings in less than ${text(minimum as bigint)}.`",
    instead: '.${minimum === undefined ? text(0n) : ""}`',
    tests: ["test/offchain/run/proposals.test.ts"],
  },
  {
    name: "a model's vault that obeys somebody else is not told",
    file: "sdk/src/actions/wiring.ts",
    text: "if (vault === zeroAddress) return [];",
    instead: "if (vault !== zeroAddress) return [];",
    tests: ["test/sdk/wiring.test.ts"],
  },
  {
    name: "play money is made where money is real",
    file: "deploy/deployment.ts",
    text: `keys.filter((key) => key !== "testDollar" || name === "local")`,
    instead: `keys.filter((key) => key !== "testDollar" || name !== undefined)`,
    tests: ["test/deploy/deployment.test.ts"],
  },
];
