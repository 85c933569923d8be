/**
 * A community machine by wallet: its owner signs an offer, a renter opens a channel, the machine trains, is killed and comes back, is paid
 * by vouchers and redeems them. All of it as processes, on a chain; what was redeemed is what the vouchers say, to the smallest unit.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { balanceOf } from "@cotrain/sdk/actions";
import type { Address } from "@cotrain/sdk/protocol";
import { parseAbi } from "viem";
import { waitForTransactionReceipt, writeContract } from "viem/actions";
import { afterEach, beforeEach, expect, it } from "vitest";

import { connect, walletOn } from "../../offchain/src/chain/index.ts";
import { openWallet } from "../../offchain/src/run/index.ts";
import { ensureKeystore, SCRYPT_N_LOCAL } from "../../offchain/src/service/index.ts";
import { endsWell, follow, openStage, openWatch, type Stage, until, type Watch } from "./harness.ts";
import { trainingRun } from "./trainingRun.ts";

const MINTED = 1_000_000_000n;

let stage: Stage;
let watch: Watch | undefined;
beforeEach(() => {
  stage = openStage();
});
afterEach(async () => {
  watch?.close();
  await stage.close();
});

it("a machine is let, rented, trains, comes back after kill -9, and its owner has what the vouchers say", async () => {
  const { up, run, coordinator } = await trainingRun(stage);
  const { rpcUrl: rpc } = run.file.chain;
  const deployed = JSON.parse(readFileSync(join(stage.state, "deployment.json"), "utf8")) as {
    chainId: number;
    computeEscrow: Address;
    testDollar: Address;
  };
  const { chainId, computeEscrow: escrow, testDollar: token } = deployed;
  watch = openWatch(stage.state);
  const at = (name: string): string => join(stage.directory, name);

  const organiser = await openWallet(stage.state, "organiser");
  const connection = await connect({ rpcUrl: rpc, chainId });
  const wallet = walletOn(connection, organiser);
  const abi = parseAbi(["function mint(address to, uint256 amount)"]);
  const hash = await writeContract(wallet, {
    chain: null,
    account: wallet.account,
    address: token,
    abi,
    functionName: "mint",
    args: [organiser.address, MINTED],
  });
  await waitForTransactionReceipt(connection.client, { hash });
  const balance = (account: Address): Promise<bigint> => balanceOf(connection.client, { shares: token, account });
  const had = await balance(organiser.address);

  // The machine says what it is; its owner, whose key it never has, signs what it is let for.
  const owner = await ensureKeystore({
    keystore: at("owner.json"),
    passphrase: at("owner.pass"),
    scryptN: SCRYPT_N_LOCAL,
  });
  await endsWell(
    stage.cotrain(["market", "lend", "--gpu=RTX 3090", "--gpus=1", "--vram=24", "--disk=50", `--state=${at("let")}`]),
  );
  await endsWell(
    stage.cotrain([
      "market",
      "offer",
      join(at("let"), "machine.json"),
      `--token=${token}`,
      "--price=100",
      `--escrow=${escrow}`,
      `--chain-id=${chainId}`,
      "--least=60s",
      "--longest=3600s",
      "--valid-for=7200s",
      "--region=here",
      `--wallet=${at("owner.json")}`,
      `--passphrase-file=${at("owner.pass")}`,
      `--out=${at("offer.json")}`,
    ]),
  );
  const lend = () =>
    stage.cotrain([
      "market",
      "lend",
      `--offer=${at("offer.json")}`,
      `--coordinator=${coordinator}`,
      `--run=${run.runId}`,
      `--rpc=${rpc}`,
      "--least-notice=10s",
      "--redeem-every=5s",
      "--every=500ms",
      "--log-level=info",
      `--state=${at("let")}`,
    ]);
  let machine = lend();

  writeFileSync(
    at("community.json"),
    JSON.stringify({
      coordinator,
      run: run.runId,
      chainId,
      rpc,
      escrow,
      tokens: [{ address: token, decimals: 6, usd: "1" }],
      notice: 20,
      wallet: join(stage.state, "keys/organiser.json"),
      passphrase: join(stage.state, "keys/passphrase"),
    }),
  );
  const market = (...args: readonly string[]) => stage.cotrain(["market", ...args]);
  const looking = [
    `--community=${at("community.json")}`,
    "--provider=community",
    `--cache=${at("cache")}`,
    `--keys=${at("keys")}`,
  ];
  await until("its offer", async () => {
    const offers = market("offers", ...looking, "--json");
    await offers.exited;
    return offers.stdout().includes('"provider":"community"') || offers.stdout().includes('"provider": "community"');
  });

  const rent = market(
    "rent",
    ...looking,
    `--coordinator=${coordinator}`,
    `--run=${run.runId}`,
    `--state=${stage.state}`,
    "--budget=5",
    "--for=1500s",
    "--drain=600s",
    "--every=500ms",
    `--leases=${at("leases")}`,
    "--yes",
  );
  const context = () => rent.stderr() + machine.stderr();
  const worker = await follow(
    watch,
    "work of the machine that counts",
    ({ leases = {}, totals }) => {
      assert(rent.exit() === undefined, context());
      const found = Object.values(leases).find(({ worker: key }) => key !== null)?.worker;
      return found && (totals[found] ?? 0) > 0 ? found : undefined;
    },
    900,
  );
  // While it lasts, something is redeemed.
  await until("a redemption", async () => (await balance(owner.address)) > 0n, { context });

  machine.kill("SIGKILL");
  await machine.exited;
  machine = lend();
  const before = watch.state().totals[worker] ?? 0;
  await follow(
    watch,
    "more work by the same key",
    ({ totals }) => {
      assert(rent.exit() === undefined, context());
      return (totals[worker] ?? 0) > before;
    },
    900,
  );

  rent.kill("SIGINT");
  await endsWell(rent);
  const [file = ""] = readdirSync(at("leases/community"));
  const lease = JSON.parse(readFileSync(at(`leases/community/${file}`), "utf8")) as {
    state: string;
    voucher: { voucher: { cumulative: string } };
  };
  const owed = BigInt(lease.voucher.voucher.cumulative);
  expect(lease.state).toBe("over");
  expect(owed).toBeGreaterThan(0n);
  expect(await balance(owner.address)).toBe(owed);
  // The rest of the deposit is back.
  expect(await balance(organiser.address)).toBe(had - owed);
  const cost = market("cost", `--leases=${at("leases")}`, "--json");
  await endsWell(cost);
  // A smallest unit is a millionth of a dollar here.
  expect(cost.stdout()).toContain(String(owed));

  // Whoever verifies the run holds the escrow against what it must say.
  const verified = stage.cotrain(["verify", `--state=${stage.state}`, "--json"]);
  await endsWell(verified);
  expect(verified.stdout().toLowerCase()).toContain(escrow);

  machine.kill("SIGINT");
  await machine.exited;
  up.kill("SIGINT");
  await up.exited;
  await stage.empty(30);
});
