import { asAddress } from "@cotrain/sdk/protocol";
import { formatEther } from "viem";

import {
  countOf,
  formatAddress,
  formatPart,
  formatSharesExactly,
  shortAddress,
  shortHex,
  UserError,
  wrap,
  timeText,
} from "../../base/index.ts";
import {
  contractAt,
  type Holding,
  type Holdings,
  holdingsOf,
  isNobody,
  newestOf,
  type ShareEvent,
} from "../../run/index.ts";
import { account as accountOption, integer, text } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { csvOf, writeCsv } from "../csv.ts";
import { columnsOf, tableWithin } from "../output.ts";
import { atPlace, type Place, placeOptions } from "../place.ts";
import { outlines } from "./outlines.ts";

/** Events of each account that a file or document has at most; each asks for the time of a block. */
const MOST_EVENTS = 10_000;
/** Events that a page shows if nobody says how many. */
const SHOWN_EVENTS = 20;
/** Others that a page names who delegate to an account. */
const SHOWN_DELEGATORS = 10;

const toStdout = "-";

const incoming: ReadonlySet<ShareEvent["what"]> = new Set(["claimed", "received"]);
const outgoing: ReadonlySet<ShareEvent["what"]> = new Set(["sent"]);

/** All cells are digits, dates, hex and words of this program: nobody else writes any of it. */
const csvHeader = [
  "account",
  "block",
  "log",
  "time",
  "what",
  "in",
  "out",
  "balance",
  "amount",
  "other",
  "transaction",
] as const;

/** A row for each event, amounts in shares, to the last wei. */
export const csvRows = ({ holdings }: Holdings): string[][] =>
  holdings.flatMap(({ account, events }) =>
    events.map(({ block, log, time, what, amount, balance, other, transaction }) => [
      formatAddress(account),
      String(block),
      String(log),
      timeText(time),
      what,
      incoming.has(what) ? formatEther(amount) : "0",
      outgoing.has(what) ? formatEther(amount) : "0",
      formatEther(balance),
      formatEther(amount),
      isNobody(other) ? "" : formatAddress(other),
      transaction,
    ]),
  );

/** What waits in the model's contracts, but for a contract that is shown as an account itself. */
function waitingIn({ contracts, waiting, holdings }: Holdings): (readonly [what: string, amount: bigint])[] {
  const all = [
    ["unclaimed", waiting.unclaimed, contracts.rewards],
    ["in grants", waiting.inGrants, contracts.grants],
    ["in sale", waiting.inSale, contracts.sale],
    ["in treasury", waiting.inTreasury, contracts.treasury],
  ] as const;
  return all.flatMap(([what, amount, contract]) =>
    amount === 0n || holdings.some(({ account }) => account === contract) ? [] : [[what, amount] as const],
  );
}

/** The accounts, the others' remainder and what waits in contracts, which make the supply to the last wei. */
function supplyLines(found: Holdings, nameOf: (holding: Holding) => string, columns: number): string[] {
  const { holdings, supply, block, time } = found;
  const held = holdings.reduce((sum, { balance }) => sum + balance, 0n);
  const waits = waitingIn(found);
  const known = waits.reduce((sum, [, amount]) => sum + amount, held);
  const row = (name: string, address: string, of: bigint, votes: string): string[] => [
    name,
    address,
    formatSharesExactly(of),
    formatPart(of, supply),
    votes,
  ];
  return [
    ...tableWithin(
      columns,
      [
        ["", "", "shares", "of all", "votes"],
        ...holdings.map((each) =>
          row(nameOf(each), shortAddress(each.account), each.balance, formatSharesExactly(each.votes)),
        ),
        row("others", "", supply - known, ""),
        ...waits.map(([what, amount]) => row(what, "", amount, "")),
        row("all", "", supply, ""),
      ],
      [2, 3, 4],
    ),
    `at block ${block}, ${timeText(time)}`,
    "",
    ...originLines(found, columns),
  ];
}

/** What was burned of all that was ever minted, in wei: grants that were revoked, for the most part. */
const burnedOf = ({ minted, founders, supply }: Pick<Holdings, "minted" | "founders" | "supply">): bigint =>
  Object.values(minted).reduce((sum, amount) => sum + amount, founders) - supply;

/** What all shares were minted for, to the last wei. */
function originLines(found: Holdings, columns: number): string[] {
  const { minted, founders, supply } = found;
  const burned = burnedOf(found);
  const rows = [
    ["training", formatSharesExactly(minted.compute), "for rounds that count"],
    ["capital", formatSharesExactly(minted.capital), "sold"],
    ["code", formatSharesExactly(minted.code), "granted"],
    ["founders", formatSharesExactly(founders), "when the model was created"],
    ["treasury", formatSharesExactly(minted.treasury), "drawn by the holders"],
    // Of a fraction of a share less than none the text has no sign.
    ["burned", burned > 0n ? `-${formatSharesExactly(burned)}` : formatSharesExactly(-burned), "of grants that ended"],
  ] as const;
  return [
    ...tableWithin(
      columns,
      [
        ["minted for", "shares", ""],
        ...rows.filter(([what, amount]) => what === "training" || amount !== "0"),
        ["all", formatSharesExactly(supply), ""],
      ],
      [1],
    ),
    ...(founders === 0n
      ? []
      : wrap(
          'What was minted for founders CodeGrants pays them over time: "npx cotrain code list" shows each.',
          columns,
        )),
  ];
}

const named = (account: string, own: string): string =>
  account === own ? "itself" : isNobody(asAddress(account)) ? "nobody" : formatAddress(account);

/** @param isHere whether its wallet is this directory's, whose commands can act for it */
function delegationText(
  { account, balance, votes, delegate, delegators, delegatorsMore }: Holding,
  isHere: boolean,
): string[] {
  const shown = delegators.slice(0, SHOWN_DELEGATORS);
  const own = delegate === account ? balance : 0n;
  const rest = shown.reduce((left, each) => left - each.balance, votes - own);
  const hidden = delegators.length - shown.length + delegatorsMore;
  const others = [
    ...shown.map((each) => `${formatAddress(each.account)} with ${formatSharesExactly(each.balance)}`),
    ...(hidden > 0 ? [`${countOf(hidden, "other")} with ${formatSharesExactly(rest)}`] : []),
  ];
  return [
    isNobody(delegate)
      ? `It delegates to nobody: its shares have no votes${isHere ? ' until "npx cotrain delegate self" takes them up' : ""}.`
      : `It delegates to ${named(delegate, account)}.`,
    ...(others.length > 0 ? [`To it delegate ${others.join(", ")}.`] : []),
  ];
}

/** What is left out, of each sort: others make as many of theirs as they like. */
const missingOf = ({ earlier: { own, claims, received, delegations } }: Holding): string =>
  [
    ...(own > 0 ? [countOf(own, "earlier event")] : []),
    ...(claims > 0 ? [`${countOf(claims, "earlier claim")} for it`] : []),
    ...(received > 0 ? [`${countOf(received, "earlier transfer")} from others`] : []),
    ...(delegations > 0 ? [`${countOf(delegations, "earlier delegation")} by others`] : []),
  ].join(", ");

/** The holding with the newest events alone. */
function newest(holding: Holding, most: number): Holding {
  const { events, earlier } = newestOf(holding.events, most);
  const { own, claims, received, delegations } = holding.earlier;
  return {
    ...holding,
    events,
    earlier: {
      own: own + earlier.own,
      claims: claims + earlier.claims,
      received: received + earlier.received,
      delegations: delegations + earlier.delegations,
    },
  };
}

function historyLines(holding: Holding, columns: number): string[] {
  const { account, events } = holding;
  const missing = missingOf(holding);
  if (events.length === 0) return ["Nothing has happened to it yet."];
  const rows = events.map(({ block, time, what, amount, balance, other, transaction }) => [
    String(block),
    timeText(time),
    what,
    incoming.has(what)
      ? `+${formatSharesExactly(amount)}`
      : outgoing.has(what)
        ? `-${formatSharesExactly(amount)}`
        : "",
    formatSharesExactly(balance),
    other === account || isNobody(other) ? named(other, account) : shortAddress(other),
    shortHex(transaction),
  ]);
  return [
    ...(missing === "" ? [] : wrap(`${missing} not shown: --last shows more, --csv all.`, columns)),
    ...tableWithin(
      columns,
      [["block", "time", "what", "shares", "has then", "other", "transaction"], ...rows],
      [0, 3, 4],
    ),
  ];
}

/** What a person reads. */
export function sharesLines(found: Holdings, nameOf: (holding: Holding) => string, columns: number): string[] {
  return [
    ...supplyLines(found, nameOf, columns),
    ...found.holdings.flatMap((holding) => [
      "",
      ...[
        `${nameOf(holding)} ${formatAddress(holding.account)}`.trim(),
        ...delegationText(holding, nameOf(holding) !== ""),
      ].flatMap((line) => wrap(line, columns)),
      ...historyLines(holding, columns),
    ]),
  ];
}

/** Wallets of the place, or the address that is named. @throws UserError `ADDRESS_MISSING` */
function accountsOf({ entries }: Place, address: string | undefined) {
  if (address !== undefined) return [{ name: "", account: asAddress(address) }];
  if (entries.length > 0) return entries.map(({ name, account }) => ({ name, account: asAddress(account) }));
  throw new UserError(
    "ADDRESS_MISSING",
    "There is no worker's wallet here whose shares could be shown: name an address with --address, or its directory with --state.",
  );
}

/** `cotrain shares`. */
export const sharesCommand = defineCommand({
  ...outlines.shares,
  options: {
    ...placeOptions,
    address: accountOption({ description: "whose (default: those of the workers' wallets here)" }),
    last: integer(1, MOST_EVENTS, {
      description: `newest events that are shown of each address, and as many of claims for it, of what others sent it, and of their delegations to it (default: ${SHOWN_EVENTS}; in a file or document ${MOST_EVENTS})`,
    }),
    csv: text({ value: "file", description: "write the history as a CSV table; - writes it to stdout" }),
  },
  examples: [
    ["npx cotrain shares", "of the wallets of this directory"],
    ["npx cotrain shares --csv shares.csv", "their history as a table, to the last wei"],
    [
      `npx cotrain shares --address 0x${"a9".repeat(20)} --coordinator https://train.example.org --rpc https://rpc.example.org`,
      "of somebody else, in somebody else's run",
    ],
  ],
  notes: [
    "All is of one block. The history is read from the contracts' events and held against what the contracts say; where the two do not agree it is said, and the exit code is 1.",
  ],
  async run({ options, output }) {
    const { address, csv } = options;
    if (csv === toStdout && output.json)
      throw new UserError("CSV_JSON", "--csv - and --json both take stdout: name a file with --csv.");
    const { found, names } = await atPlace(
      options,
      undefined,
      async (place) => {
        const accounts = accountsOf(place, address);
        const shares = await contractAt(place, "shares");
        const most = options.last ?? (output.json || csv !== undefined ? MOST_EVENTS : SHOWN_EVENTS);
        const found = await holdingsOf(
          { ...place, shares },
          accounts.map(({ account }) => account),
          most,
        );
        return { found, names: new Map(accounts.map(({ name, account }) => [account, name])) };
      },
      undefined,
      { ticking: true },
    );
    const { holdings } = found;
    const problems = holdings.flatMap((each) => each.problems);
    const rows = csvRows(found);
    if (csv === toStdout) output.text(csvOf([csvHeader, ...rows]));
    else {
      if (csv !== undefined) await writeCsv(csv, csvHeader, rows);
      const shown = holdings.map((each) => (options.last === undefined ? newest(each, SHOWN_EVENTS) : each));
      output.result(documentOf(found), [
        ...sharesLines(
          { ...found, holdings: shown },
          ({ account }) => names.get(account) ?? "",
          columnsOf(process.stdout),
        ),
        ...(csv === undefined ? [] : [`${countOf(rows.length, "event")} written to ${csv}.`]),
      ]);
    }
    if (csv !== undefined)
      for (const holding of holdings)
        if (missingOf(holding) !== "")
          output.notice(
            `${missingOf(holding)} of ${formatAddress(holding.account)} not written: --last allows ${MOST_EVENTS}.`,
          );
    for (const problem of problems) output.complain(problem);
    return problems.length > 0 ? 1 : 0;
  },
});

/** What `--json` has. */
const documentOf = (found: Holdings) => ({
  block: found.block,
  time: found.time,
  supply: found.supply,
  waiting: found.waiting,
  founders: found.founders,
  minted: found.minted,
  burned: burnedOf(found),
  holdings: found.holdings,
});
