/**
 * Keys of providers at rest, by the provider's name: an encrypted file and a passphrase beside it, or where `passphrase` says. Kept
 * apart from the cache of the market, which may be removed at any time.
 */
import { join } from "node:path";

import { didYouMean, changeSecrets, readSecrets, type SecretsPaths } from "../service/index.ts";
import { UserError } from "../base/index.ts";
import { adapters } from "./adapters/index.ts";
import { providerKey } from "./accounts.ts";

const pathsOf = (directory: string, passphrase: string | undefined): SecretsPaths => ({
  file: join(directory, "providers.json"),
  passphrase: passphrase ?? join(directory, "passphrase"),
});

/** Names of providers that take a key. */
export const keyedProviders: readonly string[] = adapters
  .filter(({ key }) => key !== undefined)
  .map(({ name }) => name);

function keyed(name: string) {
  const adapter = adapters.find((each) => each.name === name && each.key !== undefined);
  if (adapter === undefined)
    throw new UserError(
      "PROVIDER_UNKNOWN",
      `No provider "${name}" takes a key${didYouMean(name, keyedProviders)}: ${keyedProviders.join(", ")}.`,
    );
  return adapter;
}

/** The keys of a directory by the provider's name; none where there is no file. @throws as `readSecrets` */
export const storedKeys = (directory: string, passphrase?: string): Promise<ReadonlyMap<string, string>> =>
  readSecrets(pathsOf(directory, passphrase));

/**
 * Keeps a provider's key, in place of the one that was there.
 * @returns whether there was one
 * @throws UserError `PROVIDER_UNKNOWN`, `PROVIDER_KEY`; as `changeSecrets`
 */
export async function keepKey(
  directory: string,
  {
    name,
    read,
    passphrase,
  }: { readonly name: string; readonly read: () => Promise<string>; readonly passphrase?: string | undefined },
): Promise<boolean> {
  const { title } = keyed(name);
  const key = providerKey((await read()).trim(), title, "What was typed");
  let replaced = false;
  await changeSecrets(pathsOf(directory, passphrase), (keys) => {
    replaced = keys.has(name);
    keys.set(name, key);
  });
  return replaced;
}

/** Forgets a provider's key. @throws UserError `PROVIDER_UNKNOWN`, `PROVIDER_KEY` where there is none; as `changeSecrets` */
export async function dropKey(directory: string, name: string, passphrase?: string): Promise<void> {
  const { title } = keyed(name);
  if (!(await storedKeys(directory, passphrase)).has(name))
    throw new UserError("PROVIDER_KEY", `No key of ${title} is in ${directory}.`);
  await changeSecrets(pathsOf(directory, passphrase), (keys) => void keys.delete(name));
}
