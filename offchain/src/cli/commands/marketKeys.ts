import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";

import { readStreamBounded, UserError } from "../../base/index.ts";
import { dropKey, hasLeases, keepKey, keyedProviders, type Lease, leasesOf, storedKeys } from "../../market/index.ts";
import { defineCommand } from "../command.ts";
import { leasesOption, withLedger } from "../ledger.ts";
import { keysOptions } from "../market.ts";

const MAX_KEY_BYTES = 8 << 10;

/** What is piped in, or typed without being shown. */
async function readKey(): Promise<string> {
  if (!process.stdin.isTTY) return new TextDecoder().decode(await readStreamBounded(process.stdin, MAX_KEY_BYTES));
  process.stderr.write("Key (not shown): ");
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const prompt = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  try {
    return await prompt.question("");
  } finally {
    prompt.close();
    process.stderr.write("\n");
  }
}

/** @throws UserError `USAGE` */
function named(name: string | undefined): string {
  if (name === undefined) throw new UserError("USAGE", `Name a provider: ${keyedProviders.join(", ")}.`);
  return name;
}

/**
 * Without its provider's key nobody ends a machine, or sees that it is gone.
 * @throws UserError `LEASES_OPEN`
 */
async function requireUnused(name: string, directory: string): Promise<void> {
  const isUsed = ({ account, ...lease }: Lease): boolean => account === name && lease.state !== "gone";
  const open = hasLeases(directory) ? await withLedger(directory, (book) => leasesOf(book).filter(isUsed)) : [];
  const [first] = open;
  if (first === undefined) return;
  throw new UserError(
    "LEASES_OPEN",
    `The key of ${name} stays while machines are rented by it: ${first.label} is ${first.state}${open.length === 1 ? "" : `, and ${open.length - 1} more`}. "npx cotrain market terminate --all" ends them.`,
  );
}

/** `cotrain market keys`. */
export const marketKeysCommand = defineCommand({
  name: "market keys",
  summary: "keys of GPU providers, kept encrypted: add, list, remove",
  args: [
    { name: "action", description: "add, list or remove" },
    { name: "provider", description: `whose key: ${keyedProviders.join(", ")}`, optional: true },
  ],
  options: { ...keysOptions, leases: leasesOption },
  examples: [
    ["npx cotrain market keys add vast", "asks for the key of Vast.ai, or reads it from a pipe, and keeps it"],
    ["npx cotrain market keys list", "says whose keys are there, and shows none"],
    ["npx cotrain market keys remove vast", "forgets the key of Vast.ai"],
  ],
  notes: [
    "The file is encrypted with the passphrase beside it, or in the file that --passphrase-file names, which can lie elsewhere. A key in the environment goes before the one in the file. A key is never an argument: other users of the machine see those.",
    "A key is not removed while the ledger of --leases has a machine at its provider that is not gone.",
  ],
  async run({ args: [action, name], options: { keys, passphraseFile, leases }, output }) {
    if (action === "add") {
      const replaced = await keepKey(keys, { name: named(name), read: readKey, passphrase: passphraseFile });
      output.result({ kept: name, replaced }, [
        `The key of ${name} is kept in ${keys}${replaced ? ", in place of another" : ""}.`,
      ]);
    } else if (action === "remove") {
      await requireUnused(named(name), leases);
      await dropKey(keys, named(name), passphraseFile);
      output.result({ removed: name }, [
        `The key of ${name} is out of ${keys}. It still works at the provider until it is revoked there.`,
      ]);
    } else if (action === "list") {
      const names = [...(await storedKeys(keys, passphraseFile)).keys()].toSorted();
      output.result({ providers: names }, names.length === 0 ? [`No keys are in ${keys}.`] : names);
    } else throw new UserError("USAGE", `market keys can add, list and remove, not "${action}".`);
  },
});
