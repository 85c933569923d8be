/** Whom the contracts obey, read from them, and what shows where one of them obeys somebody else. */
import { type Address, getAddress, type Hex } from "viem";
import { getCode } from "viem/actions";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  bootstrapOf,
  codeGrantsOf,
  computeBudgetContractOf,
  countRevenue,
  deploymentWiring,
  distributorsOf,
  misWired,
  modelWiring,
  revenueBookOf,
  revenueDepositsOf,
  saleBookOf,
  stakeManagerOf,
  wireSentence,
} from "@cotrain/sdk/actions";
import { isolated } from "./holders.ts";
import { createWorld, stranger, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());

const bare = (address: string): string => address.slice(2).toLowerCase();

/** What is read while the code at an address is another. */
async function readWith<T>(address: Address, change: (code: Hex) => string, read: () => Promise<T>): Promise<T> {
  const { client, request } = world;
  const code = (await getCode(client, { address })) ?? "0x";
  const changed = change(code);
  expect(changed).not.toBe(code);
  const set = (to: string) => request({ method: "hardhat_setCode", params: [address, to] } as never);
  await set(changed);
  const found = await read();
  await set(code);
  return found;
}

/** What is wrong once the code at an address is another; the chain is put back afterwards. */
async function wrongWith(address: Address, change: (code: Hex) => string): Promise<string[]> {
  const { client, addresses, modelId } = world;
  const all = await readWith(address, change, async () => [
    ...(await deploymentWiring(client, { addresses })),
    ...(await modelWiring(client, { addresses, modelId })),
  ]);
  return misWired(all).map(wireSentence);
}

it("of what was deployed all is as it should be", async () => {
  const { client, addresses, modelId } = world;
  const ofDeployment = await deploymentWiring(client, { addresses });
  const ofModel = await modelWiring(client, { addresses, modelId });
  expect(ofDeployment.length).toBe(49);
  expect(ofModel.length).toBe(11);
  expect(misWired([...ofDeployment, ...ofModel])).toEqual([]);
});

it("what pays for code and sells shares is what Emission names, where that names this Emission", async () => {
  const { client, addresses, sale } = world;
  const capitalSale = getAddress(sale);
  const read = () => distributorsOf(client, { addresses });
  const codeGrants = await codeGrantsOf(client, { addresses });
  expect(await read()).toEqual({ codeGrants, capitalSale });
  const other = bare(stranger.address);
  const elsewhere = (code: Hex) => code.replaceAll(bare(addresses.emission), other);
  expect(await readWith(codeGrants, elsewhere, read)).toEqual({ capitalSale });
  expect(await readWith(sale, () => "0x", read)).toEqual({ codeGrants });
  expect(await readWith(addresses.emission, (code) => code.replaceAll(bare(sale), other), read)).toEqual({
    codeGrants,
  });
});

it("an immutable that names somebody else is found, wherever it decides", async () => {
  const { addresses } = world;
  const other = bare(stranger.address);
  const stands = async (contract: Address, named: Address, expected: readonly string[]) => {
    const wrong = await wrongWith(contract, (code) => code.replaceAll(bare(named), other));
    expect(wrong.map((sentence) => sentence.split(" is ", 1)[0])).toEqual(expected);
    for (const sentence of wrong) expect(sentence).toMatch(/ is 0x[0-9a-fA-F]{40}, not 0x[0-9a-fA-F]{40}\.$/);
  };
  const { modelRegistry, runRegistry, checkpointRegistry, validatorSet, emission, computeRewards } = addresses;
  await stands(emission, computeRewards, ["Emission.distributorOf compute"]);
  const grants = await codeGrantsOf(world.client, { addresses });
  await stands(grants, emission, ["CodeGrants.emission"]);
  await stands(grants, validatorSet, ["CodeGrants.validators"]);
  await stands(grants, modelRegistry, ["CodeGrants.registry"]);
  const { sale, client, modelId } = world;
  await stands(sale, emission, ["CapitalSale.emission"]);
  await stands(sale, modelRegistry, ["CapitalSale.registry"]);
  await stands(modelRegistry, sale, ["ModelRegistry.capitalSale"]);
  const book = await saleBookOf(client, { sale, modelId });
  await stands(book!.vault, sale, ["The model's vault.keeper"]);
  const revenue = await revenueDepositsOf(client, { addresses });
  await stands(revenue, sale, ["RevenueDeposits.capitalSale"]);
  await stands(revenue, computeRewards, ["RevenueDeposits.rewards"]);
  await stands(revenue, modelRegistry, ["RevenueDeposits.registry"]);
  await isolated(world, async () => {
    await countRevenue.sync(world.clientOf(stranger), { revenue, modelId });
    const opened = await revenueBookOf(client, { revenue, modelId });
    await stands(opened!.vault, revenue, ["The model's vault of revenue.keeper"]);
  });
  const stakes = await stakeManagerOf(client, { addresses });
  const astray = await wrongWith(modelRegistry, (code) => code.replaceAll(bare(stakes), other));
  expect(astray).toEqual([
    expect.stringContaining("StakeManager.registry is nothing"),
    ...["runs", "rewards", "validators", "disputes"].map((name) => expect.stringContaining(`StakeManager.${name} is `)),
  ]);
  await stands(stakes, modelRegistry, ["StakeManager.registry"]);
  await stands(stakes, runRegistry, ["StakeManager.runs"]);
  await stands(stakes, computeRewards, ["StakeManager.rewards", "StakeManager.disputes"]);
  await stands(stakes, validatorSet, ["StakeManager.validators"]);
  const budgets = await computeBudgetContractOf(client, { addresses });
  await stands(budgets, modelRegistry, ["ComputeBudget.registry"]);
  const bootstrap = await bootstrapOf(client, { addresses });
  await stands(bootstrap, computeRewards, ["Bootstrap.rewards"]);
  await stands(bootstrap, emission, ["Bootstrap.emission"]);
  await stands(bootstrap, modelRegistry, ["Bootstrap.registry"]);
  await stands(bootstrap, runRegistry, ["Bootstrap.runs"]);
  await stands(modelRegistry, bootstrap, ["ModelRegistry.bootstrap"]);
  await stands(world.implementations.modelGovernor, bootstrap, ["ModelGovernor.bootstrap"]);
  await stands(modelRegistry, computeRewards, ["ModelRegistry.rewards"]);
  await stands(emission, modelRegistry, ["Emission.registry"]);
  await stands(modelRegistry, emission, ["ModelRegistry.emission"]);
  await stands(modelRegistry, validatorSet, ["ModelRegistry.validators"]);
  await stands(runRegistry, checkpointRegistry, ["RunRegistry.checkpoints"]);
  await stands(runRegistry, modelRegistry, ["RunRegistry.registry"]);
  await stands(checkpointRegistry, runRegistry, ["CheckpointRegistry.runs"]);
  await stands(validatorSet, modelRegistry, ["ValidatorSet.registry"]);
  await stands(computeRewards, emission, ["ComputeRewards.emission"]);
  await stands(computeRewards, validatorSet, ["ComputeRewards.validators"]);
  await stands(computeRewards, modelRegistry, ["ComputeRewards.registry"]);
});

it("a model whose timelock runs other code, or none, is found", async () => {
  const { timelock, governor } = world;
  const [other] = await wrongWith(timelock, (code) => code.replace("5af43d", "5bf43d"));
  expect(other).toMatch(/^The code of the model's timelock is 0x/);
  const none = await wrongWith(governor, () => "0x");
  expect(none.map((sentence) => sentence.split(" is ", 2).join(" is ").slice(0, 40))).toContainEqual(
    expect.stringContaining("The model's governor.token is nothing"),
  );
});
