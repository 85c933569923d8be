/** The next run of a world's model, as its holders would decide it. */
import { registerRun, setStatus, timelockOf } from "@cotrain/sdk/actions";
import {
  asDigest,
  asRunId,
  type Build,
  type Definition,
  digestOfJson,
  type RunId,
  runIdOf,
  runStatus,
} from "@cotrain/sdk/protocol";
import { createTestClient, createWalletClient, http, type LocalAccount } from "viem";

import { putDocument } from "../../../offchain/src/storage/index.ts";
import { createInitial, createPublisher, fragments, params, poster, type World } from "./world.ts";

/**
 * Finishes the world's run and registers another one like it.
 * @param registered its fragments on-chain, whatever its definition's table has
 * @param by who posts it
 * @param change what its definition says, whatever its rounds are made by
 * @returns who makes its rounds; checkpoint 0 is not posted
 */
export async function nextRun(
  world: World,
  registered = fragments,
  by: LocalAccount = poster,
  change?: (definition: Definition) => Definition | Promise<Definition>,
): Promise<World["publisher"] & { readonly runId: RunId }> {
  const { modelId, contracts: addresses, chainId, client, store, url } = world;
  const timelock = await timelockOf(client, { addresses, modelId });
  const development = createTestClient({ mode: "anvil", transport: http(url) });
  await development.impersonateAccount({ address: timelock });
  await development.setBalance({ address: timelock, value: 10n ** 18n });
  const sender = createWalletClient({ account: timelock, transport: http(url), pollingInterval: 20 });
  const sync = { addresses, account: timelock, pollingInterval: 20 } as const;
  await setStatus.sync(sender, { ...sync, runId: world.runId, status: runStatus.finished });
  const salt = `0x${"22".repeat(32)}` as const;
  const runId = asRunId(runIdOf(BigInt(chainId), addresses.runRegistry, modelId, salt));
  const initial = await createInitial(store, runId);
  if (change) {
    initial.definition = await change(initial.definition);
    const build = JSON.parse(new TextDecoder().decode(await store.get(asDigest(initial.build)))) as Build;
    initial.build = await putDocument(store, { ...build, definition: await putDocument(store, initial.definition) });
  }
  const config = {
    definition: digestOfJson(initial.definition),
    initialCheckpoint: initial.digest,
    fragments: registered,
    poster: by.address,
    builds: [initial.build],
    params,
    min: params,
    max: params,
  };
  await registerRun.sync(sender, { ...sync, modelId, salt, config });
  return { ...createPublisher(store, { chainId, contracts: addresses, runId }, initial, by), runId };
}
