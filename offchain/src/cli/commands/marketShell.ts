/** `cotrain market logs` and `ssh`: what a rented machine says, and a shell on it. */
import { spawn } from "node:child_process";
import { once } from "node:events";

import { CotrainError } from "@cotrain/sdk/errors";

import { UserError } from "../../base/index.ts";
import { shellWords } from "../../base/node/index.ts";
import {
  type Lease,
  logOverSsh,
  MOST_LINES,
  notedFor,
  ownHost,
  type RentedAccount,
  shellCommandOf,
  shownLog,
  type SshHost,
} from "../../market/index.ts";
import { type ConfigOf, integer, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { leasesOption, withLedger } from "../ledger.ts";
import { identityOption, rentersHere } from "../leases.ts";
import { endpointOption, keysOptions, machinesOption } from "../market.ts";

const shellOptions = {
  leases: leasesOption,
  machines: machinesOption,
  identity: identityOption,
} as const;
type Options = ConfigOf<typeof shellOptions>;

type Rented = Lease & { readonly instance: string };

/** A lease whose machine there is. @throws UserError `LEASE_UNKNOWN`, `LEASE_NO_MACHINE` */
const rentedOf = (directory: string, label: string): Promise<Rented> =>
  withLedger(directory, (book) => {
    const lease = book.leases[label];
    if (lease === undefined)
      throw new UserError("LEASE_UNKNOWN", `There is no lease "${label}": market list shows those that there are.`);
    const { state, instance } = lease;
    if (instance === null || state === "gone")
      throw new UserError("LEASE_NO_MACHINE", `${label} is ${state}: there is no machine of it.`);
    return { ...lease, instance };
  });

/** How a lease's machine is reached by `ssh`. @throws UserError `LEASE_NO_SHELL`, `USAGE`; as {@link ownHost} */
async function hostOf({ label, account, instance, ssh }: Rented, options: Options): Promise<SshHost> {
  const { machines, identity, leases } = options;
  if (account === "own") {
    if (machines === undefined) throw new UserError("USAGE", "Own machines are those of a file: --machines FILE.");
    const host = await ownHost(machines, instance);
    return identity === undefined ? host : { ...host, key: identity };
  }
  if (ssh === null)
    throw new UserError(
      "LEASE_NO_SHELL",
      `No address for ssh of ${label} is known: ${account} tells none, or has not yet.`,
    );
  return { name: label, address: ssh, key: identity, noted: notedFor(leases, label) };
}

/** The account of a lease; undefined where its key is not here, and the machine can be asked itself. */
async function accountOf(
  { account, ssh }: Rented,
  options: Omit<Parameters<typeof rentersHere>[0], "community">,
  signal: AbortSignal,
): Promise<RentedAccount | undefined> {
  try {
    const { accounts } = await rentersHere({ ...options, community: undefined, provider: [account] }, signal);
    return accounts.find(({ name }) => name === account);
  } catch (error) {
    if (!(error instanceof CotrainError) || error.code !== "PROVIDER_KEY" || account === "own" || ssh === null)
      throw error;
    return undefined;
  }
}

/** `cotrain market logs`. */
export const marketLogsCommand = defineCommand({
  name: "market logs",
  summary: "the last lines that a rented machine's work has printed",
  args: [{ name: "lease", description: "as market list shows it" }],
  options: {
    ...shellOptions,
    ...keysOptions,
    endpoint: endpointOption,
    lines: integer(1, MOST_LINES, { description: "lines, at the most", default: 100 }),
  },
  examples: [["npx cotrain market logs ct-0a1b2c3d-4e5f6071-1 --lines 20", "its last twenty lines"]],
  notes: [
    "RunPod and io.net tell them, own machines are asked over ssh, and all others that have an address for ssh, with --identity. Of a machine that is a container itself those of its workers are found, as it keeps them.",
    "Whoever has the machine writes them. What acts on a terminal is taken out, and what looks like a key or a password, which is no promise for every secret.",
  ],
  async run({ args: [label = ""], options, output }) {
    const lease = await rentedOf(options.leases, label);
    const ending = new AbortController();
    const { lines } = options;
    const account = await accountOf(lease, options, ending.signal);
    const log =
      (await account?.logs?.(lease.instance, lines)) ??
      (await logOverSsh(await hostOf(lease, options), lines, { signal: ending.signal }));
    const shown = shownLog(log, lines);
    output.result({ lease: label, lines: shown }, shown.length === 0 ? ["It has printed nothing."] : shown);
  },
});

/** `cotrain market ssh`. */
export const marketSshCommand = defineCommand({
  name: "market ssh",
  summary: "a shell on a rented machine, by this machine's ssh",
  args: [{ name: "lease", description: "as market list shows it" }],
  options: {
    ...shellOptions,
    print: toggle({ description: "print the command and run nothing", default: false }),
  },
  examples: [
    ["npx cotrain market ssh ct-0a1b2c3d-4e5f6071-1 --identity ~/.ssh/id_ed25519", "opens a shell on it"],
    ["npx cotrain market ssh ct-0a1b2c3d-4e5f6071-1 --print", "prints the command"],
  ],
  notes: [
    "The machine's own key is taken at first sight and noted for its lease, in the directory of --leases; another one is refused from then on. Own machines must be among this user's known hosts. No configuration file of ssh is read and nothing is forwarded.",
  ],
  async run({ args: [label = ""], options, output }) {
    const command = shellCommandOf(await hostOf(await rentedOf(options.leases, label), options));
    if (options.print) {
      output.result({ command }, [shellWords(command)]);
      return 0;
    }
    const [program, ...args] = command;
    const child = spawn(program, args, { stdio: "inherit" });
    try {
      const [code] = (await once(child, "exit")) as [number | null];
      return code ?? 1;
    } catch (error) {
      throw new UserError("SSH_MISSING", "There is no program ssh here.", { cause: error });
    }
  },
});
