/**
 * Orders: what may stand in one, and the forms in which providers take its script: as it is, as a container's arguments, as a VM's
 * start script, as cloud-init. A script goes as base64, so that no provider's quoting changes it; a machine without our image runs
 * it in a container of it. Environment holds a one-time join token at the most: providers show it to whoever has the account.
 */
import { UserError } from "../../base/index.ts";
import type { Offer } from "../offer.ts";
import { parseLabel, sideNameOf } from "./labels.ts";
import type { Order } from "./renting.ts";

const IMAGE = /^[a-z0-9][a-z0-9._/:-]{0,200}@sha256:[0-9a-f]{64}$/;
const VARIABLE = /^[A-Z_][A-Z0-9_]{0,63}$/;
/** No line ends: an environment file has one variable a line. */
const VALUE = /^[\x20-\x7e]{0,2048}$/;
/** One line of an authorized_keys file: kind, key, comment. */
const SSH_KEY =
  /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]{40,1000}={0,3}( [\x20-\x7e]{0,100})?$/;
const MAX_VARIABLES = 64;
/** What the provider with the least room takes (Vast.ai's onstart). */
const MAX_SCRIPT = 4_000;

const wrong = (title: string, why: string): UserError =>
  new UserError("ORDER", `${title} is not sent this order: ${why}.`);

/** An order that every provider's form can carry. @throws UserError `ORDER` */
export function checkOrder(order: Order, title: string): Order {
  const { label, image, script, environment, sshKey, diskGb, maximumPerHour, offer } = order;
  if (parseLabel(label) === undefined) throw wrong(title, "its label is none of ours");
  if (!IMAGE.test(image)) throw wrong(title, "its image is not named by digest");
  if (script.length === 0 || Buffer.byteLength(script) > MAX_SCRIPT || script.includes("\0"))
    throw wrong(title, `its start script must be text of at most ${MAX_SCRIPT} bytes`);
  const variables = Object.entries(environment);
  if (variables.length > MAX_VARIABLES) throw wrong(title, `it has more than ${MAX_VARIABLES} variables`);
  const variable = variables.find(([name, value]) => !VARIABLE.test(name) || !VALUE.test(value));
  // The value may be a secret, and is not shown.
  if (variable !== undefined)
    throw wrong(title, `its variable ${JSON.stringify(variable[0].slice(0, 80))} is of another form`);
  if (sshKey !== undefined && !SSH_KEY.test(sshKey)) throw wrong(title, "its SSH key is no line of OpenSSH's");
  if (!Number.isSafeInteger(diskGb) || diskGb < 1 || diskGb > 1_000_000)
    throw wrong(title, "its disk must be 1 to 1,000,000 GB");
  // One's own machine may cost nothing.
  if (maximumPerHour < (offer.provider === "own" ? 0n : 1n))
    throw wrong(title, "its highest price must be above nothing");
  return order;
}

/** @throws UserError `ORDER` where a provider needs a key and there is none */
export function sshKeyOf({ sshKey }: Order, title: string): string {
  if (sshKey === undefined) throw wrong(title, "it needs an SSH key");
  return sshKey;
}

/** Whether two lines are one key; its comment a provider may change. */
export const sameKey = (one: string, other: string): boolean =>
  one.split(" ").slice(0, 2).join(" ") === other.split(" ").slice(0, 2).join(" ");

/** What a key is called in an account. */
export const keyNameOf = ({ label }: Order): string => sideNameOf(parseLabel(label)?.installation ?? "0");

/** What an offer must tell for it to be rented. @throws UserError `ORDER` */
export function told(offer: Offer, field: "upstreamId" | "dataCenter", title: string): string {
  const found = offer[field];
  if (found === undefined) throw wrong(title, `its offer ${offer.id} has no ${field}`);
  return found;
}

/** As {@link told}, of the provider's own words. @throws UserError `ORDER` */
export function rentBy(offer: Offer, key: string, title: string): string {
  const found = offer.rentBy?.[key];
  if (found === undefined) throw wrong(title, `its offer ${offer.id} has no ${key}: list the offers again`);
  return found;
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** `'it'\''s'`: one word of a shell. */
const shellWord = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** Arguments that run the script in a container: the same for a shell and for whoever parts them at quotes. */
export const argumentsOf = ({ script }: Order): readonly string[] => [
  "sh",
  "-c",
  `echo ${base64(script)} | base64 -d | sh`,
];

/** {@link argumentsOf} as one line. */
export const argumentLineOf = (order: Order): string => {
  const [shell, flag, command] = argumentsOf(order);
  return `${shell} ${flag} "${command}"`;
};

/** Docker's flags for the environment: `-e A='1' -e B='2'`. */
export const dockerFlagsOf = ({ environment }: Order): string =>
  Object.entries(environment)
    .map(([name, value]) => `-e ${name}=${shellWord(value)}`)
    .join(" ");

/** One variable a line, as Docker reads it. */
export const environmentFileOf = ({ environment }: Order): string =>
  Object.entries(environment)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");

const DIRECTORY = "/var/lib/cotrain";

/** The container of a machine that has Docker; its files are readable by root alone. */
const dockerRun = ({ image }: Order): string =>
  `docker run --detach --restart unless-stopped --gpus all --network host --ipc host --name cotrain --env-file ${DIRECTORY}/environment --volume ${DIRECTORY}/start.sh:/start.sh:ro --volume ${DIRECTORY}/cache:/cache --entrypoint sh ${image} /start.sh`;

/** A start script for a machine with Docker, to be run as root once: it writes the order's files and starts its container. */
export const startScriptOf = (order: Order): string =>
  [
    "#!/bin/sh",
    "set -eu",
    "umask 077",
    `mkdir -p ${DIRECTORY}/cache`,
    `echo ${base64(environmentFileOf(order))} | base64 -d >${DIRECTORY}/environment`,
    `echo ${base64(order.script)} | base64 -d >${DIRECTORY}/start.sh`,
    dockerRun(order),
    "",
  ].join("\n");

/** cloud-init's user data (JSON is YAML): the files, then the container. */
export const cloudInitOf = (order: Order): string =>
  `#cloud-config\n${JSON.stringify({
    write_files: [
      [`${DIRECTORY}/environment`, environmentFileOf(order)] as const,
      [`${DIRECTORY}/start.sh`, order.script] as const,
    ].map(([path, text]) => ({
      path,
      encoding: "b64",
      content: base64(text),
      permissions: "0600",
      owner: "root:root",
    })),
    runcmd: [dockerRun(order)],
  })}\n`;
