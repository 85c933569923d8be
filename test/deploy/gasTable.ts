/** The table of contracts/README.md: what gas.json says of the operations that have a goal, beside others' contracts. */
type Rows = Readonly<Record<string, number>>;

interface Goal {
  readonly what: string;
  /** A row of gas.json, or what comes of several. */
  readonly gas: string | ((rows: Rows) => number);
  /** Gas; or the row of OpenZeppelin's contracts alone that this one should not be above. */
  readonly goal: number | string;
  /** What others take, as measured before these contracts were written, each with the same compiler. */
  readonly beside: string;
}

const of = (rows: Rows, name: string): number => {
  const gas = rows[name];
  if (gas === undefined) throw new TypeError(`gas.json has no row "${name}".`);
  return gas;
};

/** What a further root of the same account takes in one call. */
const furtherRoot = (rows: Rows): number =>
  of(rows, "claimMany, depth 10, undelegated, 2 roots, first") -
  of(rows, "claimMany, depth 10, undelegated, 1 root, first");
const furtherHead = (rows: Rows): number =>
  Math.round((of(rows, "post 16 heads at once") - of(rows, "post head, later")) / 15);
const alone = "OpenZeppelin's governor of the same modules, measured in the same run";

const votes = [
  "propose (setPoster, 2 words)",
  "propose (setPoster, 2 words), naming its proposer",
  "castVote, before the quorum",
  "castVote, reaching the quorum",
  "castVote, after the quorum",
] as const;

const goals: readonly Goal[] = [
  {
    what: "claim of one root, proof of 10 hashes, first of an account",
    gas: "claim, depth 10, undelegated, first",
    goal: 100_000,
    beside: "Morpho's distributor 98.2 k with a clone that votes, EigenLayer 138.1 k, Merkl 152.9 k",
  },
  {
    what: "the same, later",
    gas: "claim, depth 10, undelegated, later",
    goal: 75_000,
    beside: "Morpho 64.0 k, Merkl 81.7 k, EigenLayer 84.0 k",
  },
  {
    what: "the same by who votes, first",
    gas: "claim, depth 10, self-delegated, first",
    goal: 148_000,
    beside: "minted as it is claimed 187 k",
  },
  {
    what: "the same by who votes, later",
    gas: "claim, depth 10, self-delegated, later",
    goal: 110_000,
    beside: "minted as it is claimed 138 k",
  },
  { what: "a further root of the account in one call", gas: furtherRoot, goal: 16_000, beside: "" },
  {
    what: "post a root, 5 signatures of 7, first of a model",
    gas: "post root, 5 of 7, first",
    goal: 140_000,
    beside: "by one trusted key: EigenLayer 86.7 k, Morpho 135.5 k",
  },
  { what: "the same, later", gas: "post root, 5 of 7, later", goal: 110_000, beside: "" },
  { what: "post a head", gas: "post head, later", goal: 40_000, beside: "" },
  { what: "a further head of the same transaction", gas: furtherHead, goal: 15_000, beside: "" },
  ...votes.map((name) => ({ what: name, gas: name, goal: `OpenZeppelin alone: ${name}`, beside: alone })),
];

const inThousands = (gas: number): string => `${(gas / 1_000).toFixed(1)} k`;

export const tableOfGas = (rows: Rows): string =>
  [
    "| operation | gas | goal | missed by | beside |",
    "|---|---|---|---|---|",
    ...goals.map(({ what, gas, goal, beside }) => {
      const is = typeof gas === "string" ? of(rows, gas) : gas(rows);
      const most = typeof goal === "string" ? of(rows, goal) : goal;
      const missed = is > most ? inThousands(is - most) : "";
      return `| ${what} | ${inThousands(is)} | ${inThousands(most)} | ${missed} | ${beside} |`;
    }),
  ].join("\n");

/** A page with the table in place of the one that it has. */
export function withTable(page: string, rows: Rows): string {
  const table = tableOfGas(rows);
  const [head = ""] = table.split("\n");
  const start = page.indexOf(head);
  if (start < 0) throw new TypeError("The page has no table of gas.");
  const end = page.indexOf("\n\n", start);
  return page.slice(0, start) + table + page.slice(end < 0 ? page.length : end);
}
