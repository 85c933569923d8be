/**
 * An order as it goes to a machine over SSH: a directory of its label with the script, the variables and a log, from before its image is
 * pulled until the end, and a container of Docker. Docker's name `cotrain` is that container's, so that a second is refused by Docker
 * itself. What begins it goes on when the connection ends.
 */
import { providerError } from "./base/errors.ts";
import { checkOrder, environmentFileOf } from "./base/orders.ts";
import type { Order } from "./base/renting.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");
export const ROOT = '"$HOME/.cotrain-rented"';
/** What our lines begin with: a shell's start files may print others. */
export const OURS = "cotrain: ";
/** The last line of whatever ran to its end. */
export const DONE = `${OURS}done`;

/** What a script said, line by line; one that did not come to its end said nothing. @throws RetryableError `PROVIDER_UNREADABLE` */
export function said(output: string, name: string): readonly string[] {
  const lines = output.split("\n").filter((line) => line.startsWith(OURS));
  if (lines.at(-1) !== DONE) throw providerError("unreadable", name, "its answer ends too early");
  return lines.slice(0, -1).map((line) => line.slice(OURS.length));
}

/**
 * Pulls and starts the container, beside the connection that began it. What was ended meanwhile has no directory any more, and is not
 * started, or removed again.
 */
const workOf = ({ label, image }: Order, before: string): string => `set -eu
${before}root=${ROOT}
directory="$root/${label}"
docker pull --quiet ${image}
[ -d "$directory" ] || exit 0
docker run --detach --restart unless-stopped --gpus all --network host --ipc host --name cotrain --label cotrain=${label} --env-file "$directory/environment" --volume "$directory/start.sh:/start.sh:ro" --volume "$root/cache:/cache" --entrypoint sh ${image} /start.sh
[ -d "$directory" ] || docker rm --force --volumes cotrain
`;

/**
 * Starts an order on a machine that has none; on one that has any it says `taken`. A label is of [a-z0-9-], an image of what
 * {@link checkOrder} lets through, all else is base64: a shell reads nothing else of it.
 */
export const startOf = (order: Order, before = ""): string => `set -eu
umask 077
${before}root=${ROOT}
taken=$(docker ps --all --quiet --filter 'name=^/?cotrain$')
for other in "$root"/ct-*; do if [ -d "$other" ]; then taken="$other"; fi; done
if [ -n "$taken" ]; then echo '${OURS}taken'; echo '${DONE}'; return 0; fi
mkdir -p "$root/cache"
directory="$root/${order.label}"
mkdir "$directory"
echo ${base64(environmentFileOf(order))} | base64 -d >"$directory/environment"
echo ${base64(order.script)} | base64 -d >"$directory/start.sh"
echo ${base64(workOf(order, before))} | base64 -d >"$directory/work.sh"
nohup sh "$directory/work.sh" >"$directory/log" 2>&1 </dev/null &
echo $! >"$directory/process"
echo '${DONE}'`;

/** A user of a rented machine that may not use its Docker may be root without a password. */
const AS_ROOT = `if ! docker ps >/dev/null 2>&1; then docker() { sudo -n docker "$@"; }; fi
`;

/**
 * Whether an order was started, by the note of its process, which is made once it runs: `started`, or nothing.
 * @param label of [a-z0-9-]
 */
export const wasStartedOf = (label: string): string =>
  `if [ -e ${ROOT}/${label}/process ]; then echo '${OURS}started'; fi
echo '${DONE}'`;

/**
 * Starts an order at most once on a machine, however often it is sent: says `started` where it was before, and `taken` where a start
 * was begun and its end was not noted, or another order is there.
 * @throws UserError `ORDER`
 */
export const startOnceOf = (order: Order, title: string): string => `set -eu
if [ -e ${ROOT}/${order.label}/process ]; then
${wasStartedOf(order.label)}
return 0; fi
${startOf(checkOrder(order, title), AS_ROOT)}`;
