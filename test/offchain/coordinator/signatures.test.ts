/** Signatures of strangers wait for turns. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

import { expect, it } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** A process that has nothing to do but to have signatures looked at; where the wait for a turn does not count, it ends in mid-wait. */
const LOOKED_AT = `
import { domainFor, typedDataOf, zeroHash } from "@cotrain/sdk/protocol";
import { privateKeyToAccount } from "viem/accounts";
import { createSignatures } from "./offchain/src/coordinator/signatures.ts";

const account = privateKeyToAccount("0x" + "31".repeat(32));
const signer = account.address.toLowerCase();
const domain = domainFor(31_337, signer);
const struct = {
  runId: zeroHash, round: 0n, head: zeroHash, validator: signer, kind: 4, worker: signer, index: 0, value: 1n,
  evidence: zeroHash, issuedAt: 0n,
};
const signature = (await account.signTypedData(typedDataOf(domain, "Verdict", struct))).toLowerCase();
const { require } = createSignatures();
const signed = { domain, name: "Verdict", struct, signature, signer };
await Promise.all(["192.0.2.1", "192.0.2.1", "198.51.100.1"].map((from) => require(signed, from)));
process.stdout.write("all were looked at");
`;

it("a process stays for as long as a signature waits for its turn", () => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--conditions=cotrain-source", "--input-type=module", "--eval", LOOKED_AT],
    { cwd: root, encoding: "utf8" },
  );
  expect([status, stdout, stderr]).toEqual([0, "all were looked at", ""]);
});
