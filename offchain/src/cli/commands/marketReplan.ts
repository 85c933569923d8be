/** `cotrain market replan`: what is rented, as it was measured, against the offers of now. */
import { countOf, UserError, wrap } from "../../base/index.ts";
import {
  auctioned,
  changeText,
  isLimit,
  type LeaseRequest,
  leasesOf,
  leaveRequest,
  leftOf,
  machineText,
  type Offer,
  type Proposal,
  proposalOf,
  rank,
} from "../../market/index.ts";
import { type ConfigOf, duration, toggle } from "../../service/index.ts";
import { askYes } from "../ask.ts";
import { defineCommand } from "../command.ts";
import { withLedger } from "../ledger.ts";
import { alternativesOf, catalogueOptions, wishOptions, withCatalogue } from "../market.ts";
import { columnsOf, type Output } from "../output.ts";
import { planOptions, taskOf, USD } from "../planning.ts";

const { preset, innerSteps, hubLink, hubCost, mostGpus, mode, leases } = planOptions;
const options = {
  preset,
  innerSteps,
  hubLink,
  hubCost,
  mostGpus,
  mode,
  leases,
  drain: duration({ description: "time that a machine's work has to end", default: 600_000 }),
  yes: toggle({ description: "replace, without a question", default: false }),
  ...wishOptions,
  ...catalogueOptions,
} as const;
type Options = ConfigOf<typeof options>;

/** The longest that a cluster without an end is planned for, ms. */
const MONTH = 30 * 86_400_000;
const WORDS = 200;

interface Found {
  readonly cluster: string;
  readonly proposal: Proposal | string | undefined;
}

/** What is to be changed of a cluster by what is known now. @throws UserError `CLUSTER_UNKNOWN` */
const find = (given: Options, cluster: string | undefined): Promise<Found> =>
  withCatalogue({ ...given, maxAge: 0 }, (catalogue, _, now) =>
    withLedger(given.leases, (book): Found => {
      const running = Object.values(book.clusters).filter(
        ({ id, stopping }) => stopping === null && (cluster === undefined || cluster === id),
      );
      const [one, other] = running;
      if (one === undefined || other !== undefined)
        throw new UserError(
          "CLUSTER_UNKNOWN",
          `${one === undefined ? "No such cluster is rented" : "Several clusters are rented"}: name one of market cost.`,
        );
      // Who keeps the cluster has the accounts of what it rented, and of no other.
      const accounts = new Set(leasesOf(book).flatMap((lease) => (lease.cluster === one.id ? [lease.account] : [])));
      // Who keeps it bids up to the limit that it was rented with.
      const listed = auctioned(catalogue.offers, one.auction);
      const offers = rank(listed, alternativesOf(given), "value", now)
        .map(({ offer }) => offer)
        .filter(({ provider }) => accounts.has(provider));
      const seconds = Math.max(1, ((one.endsAt ?? now + MONTH) - now) / 1_000);
      const task = taskOf(given, { kind: "most tokens", budget: leftOf(book, one.id, now), deadline: seconds });
      return { cluster: one.id, proposal: proposalOf(book, one.id, offers, task, now) };
    }),
  );

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;

/** Why it is better, in words. */
function reason({ plan: { before, after, saves } }: Proposal): string {
  const cost = ({ cluster: { cost, rate } }: typeof before): string => ((cost * 1e9) / rate / USD).toFixed(2);
  return `With what is left ${percent(saves)} more is trained, what the change costs counted: 10^9 effective tokens cost ${cost(after)} USD then and not ${cost(before)}, and a round lasts ${Math.round(after.cluster.roundSeconds)} s and not ${Math.round(before.cluster.roundSeconds)}.`;
}

const wishOf = (offer: Offer) => ({
  offer: offer.id,
  machine: machineText(offer),
  maximumPerHour: String(((offer.price.perHour ?? 0n) * (isLimit(offer) ? 100n : 105n)) / 100n),
});

const requestsOf = ({ changes }: Proposal, drainMs: number): LeaseRequest[] =>
  changes.map(({ lease, offer }) => ({
    type: "replace",
    label: lease.label,
    wish: offer === undefined ? null : wishOf(offer),
    words: `A new plan: ${offer === undefined ? "nothing" : offer.id} takes its place.`.slice(0, WORDS),
    drainMs,
  }));

const documentOf = (cluster: string, { changes, plan }: Proposal) => ({
  cluster,
  changes: changes.map(({ lease, offer }) => ({ label: lease.label, offer: offer?.id ?? null })),
  saves: plan.saves,
});

async function isWanted({ yes }: Options, lines: readonly string[], output: Output): Promise<boolean> {
  if (yes) return true;
  if (!process.stdin.isTTY || !process.stderr.isTTY) return false;
  for (const line of lines) output.notice(line);
  return (await askYes("Replace? [y/N] ", process.stdin, process.stderr)) === "yes";
}

/** `cotrain market replan`. */
export const marketReplanCommand = defineCommand({
  name: "market replan",
  summary:
    "hold what is rented, as it was measured, against the offers of now, and replace what is not worth its price",
  args: [{ name: "cluster", description: "as market cost shows it, where several are rented", optional: true }],
  options,
  section: "market",
  examples: [
    ["npx cotrain market replan", "says what it would replace and why, and asks"],
    ["npx cotrain market replan c1a2b3c4 --preset 1b --yes", "of a run of 1b, without a question"],
  ],
  notes: [
    "A machine is let go after the round that it is in (--drain at the most), and only then is the other rented, by the process that keeps the leases, within the cluster's budget and its highest price.",
    "Three machines are replaced at once at the most, where that trains 3% more with what is left, boots and time that is paid and not used counted; four for each slot in a cluster's life.",
  ],
  async run({ args: [named], options: given, output }) {
    const { cluster, proposal } = await find(given, named);
    if (proposal === undefined || typeof proposal === "string") {
      const why = proposal === undefined ? "no change is worth what it costs" : proposal;
      output.result(
        { cluster, changes: [], why },
        wrap(`Nothing is to be replaced: ${why}.`, columnsOf(process.stdout)),
      );
      return 0;
    }
    const lines = [...proposal.changes.map((each) => `${changeText(each)}.`), reason(proposal)].flatMap((line) =>
      wrap(line, columnsOf(process.stdout)),
    );
    const document = documentOf(cluster, proposal);
    if (!(await isWanted(given, lines, output))) {
      output.result({ ...document, done: false }, [...lines, "Nothing was replaced: that takes --yes."]);
      return 0;
    }
    for (const request of requestsOf(proposal, given.drain)) await leaveRequest(given.leases, request);
    output.result({ ...document, done: true }, [
      ...lines,
      `${countOf(proposal.changes.length, "machine")} will be let go at the next look of the process that keeps the leases.`,
    ]);
    return 0;
  },
});
