/**
 * Renting one's own machines: a container of Docker on each, one at a time, started and removed over SSH. What a machine is to do lies in
 * a directory of the order's label from before its image is pulled until the end (overSsh.ts), so that it is never out of sight. Of a
 * machine that does not answer nothing is known: what runs on it goes on, and nothing is rented there.
 */
import { createHash } from "node:crypto";

import { CotrainError } from "@cotrain/sdk/errors";
import pLimit from "p-limit";

import { providerError } from "./base/errors.ts";
import { stateOf } from "./base/instances.ts";
import { parseLabel } from "./base/labels.ts";
import { ownLogScript, saidOf } from "./logs.ts";
import { checkOrder } from "./base/orders.ts";
import type { Instance, InstanceState, Order, RentedAccount, RentingTerms, Seen, SilentPart } from "./base/renting.ts";
import { DONE, OURS, ROOT, said, startOf } from "./overSsh.ts";
import { readOwnMachines } from "./own.ts";
import { runOverSsh, type SshHost, type SshOptions } from "./ssh.ts";

const TITLE = "Own machines";

const terms: RentingTerms = {
  nameMax: 60,
  keepsLabel: true,
  visibleWithin: 5_000,
  killWithin: 30_000,
  deletableWhileCreating: true,
  minimumSeconds: 0,
  granularitySeconds: 1,
  bootBilled: false,
  tellsBill: false,
  startsBy: "provider",
};

/** Docker's words, and ours for a directory without a container. */
const STATES: Readonly<Record<string, InstanceState>> = {
  pulling: "creating",
  unfinished: "failed",
  created: "creating",
  running: "running",
  restarting: "creating",
  paused: "stopped",
  exited: "stopped",
  removing: "ending",
  dead: "failed",
};

/**
 * Directories first: the container of one whose work ended meanwhile is there by then. Of what failed the last line of its log is told,
 * but for where Docker names its manual.
 */
const LOOK = `set -eu
root=${ROOT}
for directory in "$root"/ct-*; do
  [ -d "$directory" ] || continue
  if [ -e "$directory/process" ] && kill -0 "$(cat "$directory/process")" 2>/dev/null; then
    state=pulling
  else
    state="unfinished $(grep -v -e '^Run ' -e '^See ' -e '^$' "$directory/log" 2>/dev/null | tail -n 1)"
  fi
  echo "${OURS}\${directory##*/} $state"
done
docker ps --all --filter label=cotrain --format '${OURS}{{.Label "cotrain"}} {{.State}}'
echo '${DONE}'`;

/** The directory first: what is being started sees that it is over. */
const endOf = (label: string): string => `set -eu
rm -rf ${ROOT}/${label}
ids=$(docker ps --all --quiet --filter label=cotrain=${label})
[ -z "$ids" ] || docker rm --force --volumes $ids >/dev/null
echo '${DONE}'`;

/** The machine of a file that an id was made on, and the label. @throws UserError `PROVIDER_REFUSED` for one that the file does not have */
function parsedIn(machines: readonly SshHost[], path: string, id: string) {
  const [home, label = ""] = id.split("/");
  const words = JSON.stringify(id.slice(0, 120));
  if (parseLabel(label) === undefined) throw providerError("validation", TITLE, `${words} is none of Cotrain's`);
  return { machine: machineIn(machines, path, (each) => homeOf(each) === home, words), label };
}

function machineIn(
  machines: readonly SshHost[],
  path: string,
  is: (machine: SshHost) => boolean,
  words: string,
): SshHost {
  const machine = machines.find(is);
  if (machine === undefined) throw providerError("validation", TITLE, `${path} does not have ${words}`);
  return machine;
}

/** Where a machine of one's own is, by the id that it was rented under. @throws UserError as `readOwnMachines`, `PROVIDER_REFUSED` */
export const ownHost = async (path: string, id: string): Promise<SshHost> =>
  parsedIn(await readOwnMachines(path), path, id).machine;

const MAX_WORDS = 200;
/** Machines that are asked at once. */
const AT_ONCE = 16;

/** Name and address: a name that was given to another machine stands for no machine of before. */
const homeOf = ({ name, address: { host, port, user } }: SshHost): string =>
  `${name}@${createHash("sha256").update(`${user}@${host}:${port}`).digest("hex").slice(0, 8)}`;

/** @throws RetryableError `PROVIDER_AWAY`, `PROVIDER_UNREADABLE`; UserError `PROVIDER_AUTH` */
async function look(machine: SshHost, options: SshOptions): Promise<readonly Instance[]> {
  const found = new Map<string, Instance>();
  for (const line of said(await runOverSsh(machine, LOOK, options), machine.name)) {
    const [label = "", word = "", ...more] = line.split(" ");
    // Others may have labels of that name; of what was created and not started its directory tells more.
    if (parseLabel(label) === undefined || (word === "created" && found.has(label))) continue;
    found.set(label, {
      id: `${homeOf(machine)}/${label}`,
      label,
      state: stateOf(STATES, word),
      words: [word, ...more]
        .join(" ")
        .replaceAll(/[^\x20-\x7e]/g, "")
        .trim()
        .slice(0, MAX_WORDS),
      ssh: machine.address,
    });
  }
  return [...found.values()];
}

/** Every machine is asked, at most so many at once. @throws what the first says where none answers; a defect of ours; the signal's reason */
async function lookAtAll(machines: readonly SshHost[], options: SshOptions): Promise<Seen> {
  const limit = pLimit(AT_ONCE);
  const silent: SilentPart[] = [];
  const found = await Promise.all(
    machines.map((machine) =>
      limit(async () => {
        try {
          return await look(machine, options);
        } catch (error) {
          options.signal.throwIfAborted();
          if (!(error instanceof CotrainError)) throw error;
          silent.push({ offer: `own:${machine.name}`, ids: `${homeOf(machine)}/`, error });
          return [];
        }
      }),
    ),
  );
  const [first] = silent;
  if (first !== undefined && silent.length === machines.length) throw first.error;
  return { instances: found.flat(), silent };
}

/** @throws UserError `ORDER`, `PROVIDER_AUTH`, `PROVIDER_AMBIGUOUS` with the machine's id; RetryableError `PROVIDER_CAPACITY` */
async function create(machine: SshHost, order: Order, options: SshOptions): Promise<Instance> {
  const { name, address } = machine;
  const id = `${homeOf(machine)}/${order.label}`;
  const script = startOf(checkOrder(order, TITLE));
  try {
    const lines = said(await runOverSsh(machine, script, options), name);
    if (lines.includes("taken")) throw providerError("capacity", name, "something of Cotrain's is on it");
    return { id, label: order.label, state: "creating", words: "pulling", ssh: address };
  } catch (error) {
    if (!(error instanceof CotrainError) || !["PROVIDER_AWAY", "PROVIDER_UNREADABLE"].includes(error.code)) throw error;
    throw providerError("ambiguous", name, error.message, { instance: id }, error);
  }
}

/**
 * One's own machines of a file as an account. Whose it is never changes, since each machine's id says where it is: one that the file does
 * not have any more is refused, and so never absent.
 * @throws as `readOwnMachines`
 */
export async function ownAccount(path: string, options: SshOptions): Promise<RentedAccount> {
  const machines = await readOwnMachines(path);
  const parsed = (id: string) => parsedIn(machines, path, id);
  return {
    name: "own",
    title: TITLE,
    terms,
    identity: () => Promise.resolve("own"),
    create: async (order) =>
      create(
        machineIn(
          machines,
          path,
          ({ name }) => name === order.offer.providerId,
          JSON.stringify(order.offer.providerId.slice(0, 120)),
        ),
        order,
        options,
      ),
    get: async (id) => (await look(parsed(id).machine, options)).find((instance) => instance.id === id),
    list: async () => {
      const { instances, silent } = await lookAtAll(machines, options);
      if (silent[0] !== undefined) throw silent[0].error;
      return instances;
    },
    listAnswering: () => lookAtAll(machines, options),
    terminate: async (id) => {
      const { machine, label } = parsed(id);
      said(await runOverSsh(machine, endOf(label), options), machine.name);
      return "accepted";
    },
    bill: () => Promise.resolve(undefined),
    logs: async (id, lines) => {
      const { machine, label } = parsed(id);
      return saidOf(await runOverSsh(machine, ownLogScript(label, lines), options), machine.name);
    },
  };
}
