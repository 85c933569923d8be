/** A coordinator that claims, and a worker that asks for it, as real processes on the chain of the run. */
import type { ChildProcess } from "node:child_process";
import { cpSync } from "node:fs";
import { join } from "node:path";

import { getAllLogs, rewardClaimed } from "@cotrain/sdk/actions";
import { asAddress } from "@cotrain/sdk/protocol";
import { expect, test } from "vitest";

import { openLocalRun, openWallet, withChain } from "../../../offchain/src/run/index.ts";
import { findPort } from "../../../offchain/src/service/index.ts";
import { cotrain, cotrainHere } from "../../offchain/cli/support.ts";
import { directory, environment, me, nothingLeft, passphrase, unclaimed, wallet } from "./harness.ts";

interface Row {
  readonly earned: string;
  readonly claimed: string;
  readonly claimable: string;
}

export function sweep(): void {
  test("a worker that asks is paid all that it is owed, of many roots at once, and the poster pays the gas", async () => {
    const copy = join(directory, "swept");
    cpSync(unclaimed, copy, { recursive: true });
    const port = String(await findPort({ port: 0, explicit: true }));
    const coordinator = `http://127.0.0.1:${port}`;
    const poster = await openWallet(copy, "poster");
    const run = await openLocalRun(copy);
    const { modelId, deployment } = run;
    await withChain(run, async ({ url, call }) => {
      const owed = async (): Promise<Row> => {
        const { stdout } = await cotrainHere([
          "rewards",
          "list",
          "--state",
          copy,
          "--rpc",
          url,
          "--account",
          me,
          "--json",
        ]);
        return (JSON.parse(stdout) as Row[])[0]!;
      };
      const account = asAddress(me);
      const before = await owed();
      expect(before).toMatchObject({ claimed: "0", claimable: before.earned });
      expect(BigInt(before.earned)).toBeGreaterThan(0n);

      const children: ChildProcess[] = [];
      const start = (...argv: readonly string[]) =>
        cotrain(argv, { environment, onStart: (child) => children.push(child) });
      const ends = [start("coordinator", "--state", copy, "--rpc", url, "--port", port, "--claim-from", "0.000001")];
      try {
        const isUp = () =>
          fetch(`${coordinator}/health`).then(
            ({ ok }) => ok,
            () => false,
          );
        await expect.poll(isUp, { timeout: 60_000 }).toBe(true);
        const own = ["--wallet", wallet, "--passphrase-file", passphrase, "--threads", "1"];
        const state = join(directory, "sweepWorker");
        ends.push(start("worker", "--coordinator", coordinator, "--state", state, "--claim", ...own));
        await expect.poll(async () => (await owed()).claimable, { timeout: 120_000, interval: 500 }).toBe("0");
      } finally {
        for (const child of children.toReversed()) child.kill("SIGINT");
      }
      for (const { code } of await Promise.all(ends)) expect(code).toBe(130);
      expect(BigInt((await owed()).claimed)).toBeGreaterThanOrEqual(BigInt(before.earned));
      // However many roots granted something; and who is paid sends nothing.
      const claimed = rewardClaimed({ addresses: deployment.addresses, modelId, account });
      const { logs } = await call((client) => getAllLogs(client, claimed, { from: 0n }));
      const paid = logs.reduce((sum, { args }) => sum + args.amount, 0n);
      expect(paid).toBeGreaterThanOrEqual(BigInt(before.earned));
      // A session beside busy neighbours has more roots than one transaction takes.
      expect(logs.length).toBeLessThanOrEqual(4);
      for (const { transactionHash: hash } of logs) {
        const { from } = await call((client) => client.getTransaction({ hash }));
        expect(asAddress(from)).toBe(asAddress(poster.address));
      }
      expect(await call((client) => client.getTransactionCount({ address: account }))).toBe(0);
    });
    await nothingLeft();
  });
}
