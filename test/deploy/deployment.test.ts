import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { network } from "hardhat";
import { createPublicClient, createWalletClient, custom, getContractAddress, type Hex, keccak256 } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadArtifact } from "../../deploy/artifacts.ts";
import { type ContractName, defaultRecordPath, deploy, ensureBuilt, profileFor } from "../../deploy/deployment.ts";

/** Hardhat's first account. */
const account = privateKeyToAccount("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");

async function chain(chainId = 31337) {
  const connection = await network.create({ override: { chainId } });
  const transport = custom({ request: (call) => connection.provider.request(call) });
  return {
    connection,
    clients: {
      publicClient: createPublicClient({ transport, pollingInterval: 10 }),
      walletClient: createWalletClient({ account, transport }),
    },
  };
}

/** Behind the code nothing is run; other code, for all that. */
async function withOtherDollar(name: ContractName) {
  const artifact = await loadArtifact(name);
  return name === "TestDollar" ? { ...artifact, bytecode: `${artifact.bytecode}00` as Hex } : artifact;
}

let folder: string;
beforeAll(async () => {
  await ensureBuilt();
  folder = await mkdtemp(join(tmpdir(), "cotrain-deploy-"));
});
afterAll(() => rm(folder, { recursive: true }));

describe("a deployment", () => {
  it("gives every contract its code and writes its record", async () => {
    const { clients } = await chain();
    const recordPath = join(folder, "state/deployment.json");
    const deployment = await deploy({ ...clients, profile: "local", recordPath });
    expect(JSON.parse(await readFile(recordPath, "utf8"))).toEqual(deployment);
    expect(deployment.chainId).toBe(31337);
    for (const block of Object.values(deployment.blocks)) expect(block).toBeGreaterThan(0);
    const { abi } = await loadArtifact("ModelRegistry");
    const [minimum] = (await clients.publicClient.readContract({
      address: deployment.addresses.modelRegistry,
      abi,
      functionName: "limits",
    })) as [Record<string, number>];
    expect(minimum).toEqual(profileFor("local", 31337).limits);
  });

  it("wires the contracts to each other", async () => {
    const { clients } = await chain();
    const { addresses, codeGrants, capitalSale } = await deploy({ ...clients, profile: "local" });
    for (const [key, name] of [
      ["runRegistry", "RunRegistry"],
      ["validatorSet", "ValidatorSet"],
      ["emission", "Emission"],
    ] as const) {
      const { abi } = await loadArtifact(name);
      const registry = await clients.publicClient.readContract({
        address: addresses[key],
        abi,
        functionName: "registry",
      });
      expect(String(registry).toLowerCase()).toBe(addresses.modelRegistry);
    }
    const emission = await loadArtifact("Emission");
    const distributor = async (kind: number) =>
      String(
        await clients.publicClient.readContract({
          address: addresses.emission,
          abi: emission.abi,
          functionName: "distributorOf",
          args: [kind],
        }),
      ).toLowerCase();
    expect(await distributor(1)).toBe(addresses.computeRewards);
    expect(await distributor(2)).toBe(codeGrants);
    expect(await distributor(3)).toBe(capitalSale);
  });

  it("is found again by a second run, which sends nothing", async () => {
    const { clients } = await chain();
    const first = await deploy({ ...clients, profile: "local" });
    const nonce = await clients.publicClient.getTransactionCount({ address: account.address });
    expect(await deploy({ ...clients, profile: "local" })).toEqual(first);
    expect(await clients.publicClient.getTransactionCount({ address: account.address })).toBe(nonce);
  });

  it("goes on where a crash cut it short, at the same addresses", async () => {
    const whole = await deploy({ ...(await chain()).clients, profile: "local" });
    const { clients } = await chain();
    let left = 6;
    const dying = {
      ...clients.walletClient,
      sendTransaction: (...args: Parameters<typeof clients.walletClient.sendTransaction>): Promise<Hex> =>
        left-- > 0 ? clients.walletClient.sendTransaction(...args) : Promise.reject(new TypeError("killed")),
    } as typeof clients.walletClient;
    await expect(deploy({ ...clients, walletClient: dying, profile: "local" })).rejects.toThrow("killed");
    const resumed = await deploy({ ...clients, profile: "local" });
    expect(resumed.addresses).toEqual(whole.addresses);
    expect(resumed.implementations).toEqual(whole.implementations);
    expect(resumed.codeGrants).toBe(whole.codeGrants);
    expect(resumed.capitalSale).toBe(whole.capitalSale);
    expect(resumed.stakeManager).toBe(whole.stakeManager);
    expect(resumed.computeBudget).toBe(whole.computeBudget);
    expect(resumed.computeEscrow).toBe(whole.computeEscrow);
    expect(resumed.testDollar).toBe(whole.testDollar);
  });

  /** Anvil drops one that fits into a block where an earlier one of its sender does not. */
  it("has no more transactions wait than half a block takes", async () => {
    const { clients } = await chain();
    const waiting = new Map<Hex, bigint>();
    let most = 0n;
    const walletClient = {
      ...clients.walletClient,
      sendTransaction: async (...args: Parameters<typeof clients.walletClient.sendTransaction>): Promise<Hex> => {
        const hash = await clients.walletClient.sendTransaction(...args);
        waiting.set(hash, args[0].gas ?? 0n);
        const sum = [...waiting.values()].reduce((total, gas) => total + gas, 0n);
        if (sum > most) most = sum;
        return hash;
      },
    } as typeof clients.walletClient;
    const publicClient = {
      ...clients.publicClient,
      waitForTransactionReceipt: (args: Parameters<typeof clients.publicClient.waitForTransactionReceipt>[0]) => {
        waiting.delete(args.hash);
        return clients.publicClient.waitForTransactionReceipt(args);
      },
    };
    await deploy({ walletClient, publicClient, profile: "local" });
    const { gasLimit } = await clients.publicClient.getBlock();
    expect(most).toBeGreaterThan(gasLimit / 10n);
    expect(most).toBeLessThanOrEqual(gasLimit / 2n);
  });

  it("refuses an address that holds other code", async () => {
    const { clients, connection } = await chain();
    const { addresses } = await deploy({ ...clients, profile: "local" });
    await connection.provider.request({ method: "hardhat_setCode", params: [addresses.emission, "0x6001"] });
    await expect(deploy({ ...clients, profile: "local" })).rejects.toMatchObject({ code: "WRONG_CODE" });
  });

  /** Immutables are no part of the code that is compared. */
  it("refuses contracts that obey others than they should", async () => {
    const { clients, connection } = await chain();
    const { addresses } = await deploy({ ...clients, profile: "local" });
    const code = await clients.publicClient.getCode({ address: addresses.emission });
    const other = code!.replaceAll(addresses.computeRewards.slice(2), account.address.slice(2).toLowerCase());
    await connection.provider.request({ method: "hardhat_setCode", params: [addresses.emission, other] });
    await expect(deploy({ ...clients, profile: "local" })).rejects.toMatchObject({
      code: "WRONG_WIRING",
      message: `The contracts obey others than they should: Emission.distributorOf compute is ${account.address}, not ${addresses.computeRewards}.`,
    });
  });

  it("refuses another that pays for code", async () => {
    const { clients, connection } = await chain();
    const { addresses, codeGrants } = await deploy({ ...clients, profile: "local" });
    const code = await clients.publicClient.getCode({ address: addresses.emission });
    const other = code!.replaceAll(codeGrants.slice(2), account.address.slice(2).toLowerCase());
    await connection.provider.request({ method: "hardhat_setCode", params: [addresses.emission, other] });
    await expect(deploy({ ...clients, profile: "local" })).rejects.toMatchObject({
      code: "WRONG_WIRING",
      message: `The contracts obey others than they should: Emission.distributorOf code is ${account.address}, not ${codeGrants}.`,
    });
  });

  it("refuses another that holds stake", async () => {
    const { clients, connection } = await chain();
    const { addresses, stakeManager } = await deploy({ ...clients, profile: "local" });
    const code = await clients.publicClient.getCode({ address: addresses.modelRegistry });
    const other = code!.replaceAll(stakeManager.slice(2), account.address.slice(2).toLowerCase());
    await connection.provider.request({ method: "hardhat_setCode", params: [addresses.modelRegistry, other] });
    await expect(deploy({ ...clients, profile: "local" })).rejects.toMatchObject({
      code: "WRONG_WIRING",
      message: `The contracts obey others than they should: ModelRegistry.stakeManager is ${account.address}, not ${stakeManager}.`,
    });
  });

  it("refuses another that sells shares", async () => {
    const { clients, connection } = await chain();
    const { addresses, capitalSale } = await deploy({ ...clients, profile: "local" });
    const code = await clients.publicClient.getCode({ address: addresses.modelRegistry });
    const other = code!.replaceAll(capitalSale.slice(2), account.address.slice(2).toLowerCase());
    await connection.provider.request({ method: "hardhat_setCode", params: [addresses.modelRegistry, other] });
    await expect(deploy({ ...clients, profile: "local" })).rejects.toMatchObject({
      code: "WRONG_WIRING",
      message: `The contracts obey others than they should: ModelRegistry.capitalSale is ${account.address}, not ${capitalSale}.`,
    });
  });

  it("refuses another that pays for machines", async () => {
    const { clients, connection } = await chain();
    const { computeEscrow } = await deploy({ ...clients, profile: "local" });
    const vault = getContractAddress({ from: computeEscrow, nonce: 1n }).toLowerCase();
    const code = await clients.publicClient.getCode({ address: computeEscrow });
    const other = code!.replaceAll(vault.slice(2), account.address.slice(2).toLowerCase());
    await connection.provider.request({ method: "hardhat_setCode", params: [computeEscrow, other] });
    await expect(deploy({ ...clients, profile: "local" })).rejects.toMatchObject({
      code: "WRONG_WIRING",
      message: expect.stringContaining("ComputeEscrow.vaultImplementation is ") as string,
    });
  });

  /** A channel must be found again whatever else is deployed anew. */
  it("has what pays for machines at the same address under other limits, and beside other code", async () => {
    const { clients } = await chain();
    const local = await deploy({ ...clients, profile: "local" });
    const open = await deploy({ ...clients, profile: "public" });
    expect(open.computeEscrow).toBe(local.computeEscrow);
    expect(open.blocks.computeEscrow).toBe(local.blocks.computeEscrow);
    const newer = await deploy({ ...clients, profile: "local", artifacts: withOtherDollar });
    expect(newer.addresses.emission).not.toBe(local.addresses.emission);
    expect(newer.computeEscrow).toBe(local.computeEscrow);
  });

  it("makes play money for local models alone", async () => {
    const { clients } = await chain();
    const local = await deploy({ ...clients, profile: "local" });
    expect(await clients.publicClient.getCode({ address: local.testDollar! })).toMatch(/^0x[0-9a-f]{100}/);
    const open = await deploy({ ...clients, profile: "public" });
    expect(open.testDollar).toBeUndefined();
    expect(open.blocks.testDollar).toBeUndefined();
  });

  it("has other addresses under other limits", async () => {
    const { clients } = await chain();
    const local = await deploy({ ...clients, profile: "local" });
    const open = await deploy({ ...clients, profile: "public" });
    expect(open.addresses.modelRegistry).not.toBe(local.addresses.modelRegistry);
    expect(open.deployer).toBe(local.deployer);
  });
});

describe("the local profile", () => {
  it("is refused by TypeScript on any but a development chain", async () => {
    const { clients } = await chain(31338);
    await expect(deploy({ ...clients, profile: "local" })).rejects.toMatchObject({ code: "LOCAL_PROFILE_REFUSED" });
  });

  it("is refused by the registry on any but a development chain", async () => {
    const { clients } = await chain(31338);
    const { abi, bytecode } = await loadArtifact("ModelRegistry");
    const zero = "0x0000000000000000000000000000000000000001";
    const limits = profileFor("local", 31337).limits;
    await expect(
      clients.walletClient.deployContract({
        abi,
        bytecode,
        args: [...Array.from({ length: 10 }, () => zero), limits],
        chain: null,
      }),
    ).rejects.toThrow("ModelRegistryLimitRefused");
  });

  it("leaves other chains the public one, whose limits are the registry's", async () => {
    const { clients } = await chain(31338);
    const deployment = await deploy({ ...clients, profile: "public", recordPath: join(folder, "31338.json") });
    expect(deployment.profile).toBe("public");
  });
});

describe("models of either profile", () => {
  it.each(["local", "public"] as const)("are within the limits: %s", async (name) => {
    const { clients } = await chain();
    const { addresses } = await deploy({ ...clients, profile: name });
    const { abi } = await loadArtifact("ModelRegistry");
    const config = {
      name: "Model",
      symbol: "MDL",
      uri: "",
      organiser: account.address,
      ...profileFor(name, 31337).model,
      validators: [account.address],
      threshold: 1,
    };
    const { result } = await clients.publicClient.simulateContract({
      account,
      address: addresses.modelRegistry,
      abi,
      functionName: "createModel",
      args: [config, keccak256("0x")],
    });
    expect(result).toMatch(/^0x[0-9a-f]{64}$/);
  });
});

describe("records", () => {
  it("of other chains lie in the tree, those of the development chain do not", () => {
    expect(defaultRecordPath(31337)).toBeUndefined();
    expect(defaultRecordPath(8453)).toMatch(/deploy\/deployments\/8453\.json$/);
  });
});
