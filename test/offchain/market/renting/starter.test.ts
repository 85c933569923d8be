/** Machines of a cloud that are started over SSH: what is kept for them, what goes there, and what their answers are taken for. */
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { beforeEach, expect, onTestFinished, test, vi } from "vitest";

import { passText, type SignedPass } from "@cotrain/sdk/protocol";

import type { Order } from "../../../../offchain/src/market/base/renting.ts";
import { createStarter, type Starter } from "../../../../offchain/src/market/leases/starter.ts";
import { temporaryDirectory } from "../../cli/support.ts";
import { LABEL, orderOf } from "./account.ts";
import { prime } from "./dialects/prime.ts";
import { type OwnBox, ownBox } from "./ownBox.ts";

const TITLE = "Prime Intellect";
const ADDRESS = { host: "203.0.113.30", port: 1_234, user: "root" };
const PASS = passText({ pass: { label: LABEL }, signature: "0x00" } as unknown as SignedPass);
const order: Order = orderOf(prime, { environment: { JOIN_PASS_0: PASS } });

let box: OwnBox;
let directory: string;
let starter: Starter;

function opened(timeout?: number): Starter {
  const ending = new AbortController();
  onTestFinished(() => ending.abort());
  const identity = join(directory, "a 100% key");
  return createStarter({ directory, identity, signal: ending.signal, ...(timeout === undefined ? {} : { timeout }) });
}

beforeEach(() => {
  vi.unstubAllEnvs();
  box = ownBox();
  directory = temporaryDirectory();
  vi.stubEnv("PATH", box.path);
  writeFileSync(join(directory, "a 100% key"), "a private key\n");
  box.write("hook", "echo once >>runs\n");
  starter = opened();
});

const kept = (): string[] => (existsSync(join(directory, "starts")) ? readdirSync(join(directory, "starts")) : []);
const begun = () => vi.waitFor(() => expect(box.read("runs")).toBe("once\n"), { timeout: 30_000 });

test("what a machine is to do is kept before, goes through the connection, and begins once however often it is sent", async () => {
  await starter.keep(order, TITLE);
  expect(kept()).toEqual([`${LABEL}.sh`]);
  expect(statSync(join(directory, "starts", `${LABEL}.sh`)).mode & 0o777).toBe(0o600);
  // Whoever keeps the leases by then may be another process.
  expect(await opened().start(LABEL, ADDRESS)).toEqual({ type: "started" });
  await begun();
  expect(box.read(`.cotrain-rented/${LABEL}/start.sh`)).toBe(order.script);
  expect(box.read(`.cotrain-rented/${LABEL}/environment`)).toBe(`JOIN_PASS_0=${PASS}\n`);
  expect(box.read("ran")).toContain(`--name cotrain --label cotrain=${LABEL} `);
  expect(await starter.start(LABEL, ADDRESS)).toEqual({ type: "started" });
  starter.forget(() => false);
  expect(kept()).toEqual([]);
  // One that was taken up again is asked.
  expect(await starter.start(LABEL, ADDRESS)).toEqual({ type: "started" });
  await begun();
  const noted = join(directory, "hosts", LABEL);
  expect(new Set(box.read("arguments").trim().split("\n"))).toEqual(
    new Set([
      `-F none -T -p 1234 -l root -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile="${noted}" -o GlobalKnownHostsFile=none -o HostKeyAlias=${LABEL} -o HashKnownHosts=no -o UpdateHostKeys=no -o ConnectTimeout=15 -o ServerAliveInterval=10 -o ServerAliveCountMax=3 -o ForwardAgent=no -o ForwardX11=no -o ClearAllForwardings=yes -o PermitLocalCommand=no -o ProxyCommand=none -o LogLevel=ERROR -o IdentitiesOnly=yes -i ${directory}/a 100%% key -- 203.0.113.30 sh -s`,
    ]),
  );
});

test("of a start that was cut off nothing is done; one whose end was not seen is found, and begins nothing twice", async () => {
  await starter.keep(order, TITLE);
  box.write("fault", `head -c -8 | HOME="${box.home}" sh; exit 255\n`);
  expect(await starter.start(LABEL, ADDRESS)).toMatchObject({ type: "unstarted", what: "again" });
  expect(existsSync(join(box.home, ".cotrain-rented"))).toBe(false);
  box.write("fault", `HOME="${box.home}" sh >/dev/null; echo 'Connection closed by remote host' >&2; exit 255\n`);
  expect(await starter.start(LABEL, ADDRESS)).toMatchObject({
    type: "unstarted",
    what: "again",
    words: expect.stringContaining("Connection closed"),
  });
  box.write("fault", "");
  expect(await starter.start(LABEL, ADDRESS)).toEqual({ type: "started" });
  await begun();
});

test("where a start was begun and its end not noted, or another order is, nothing is started", async () => {
  await starter.keep(order, TITLE);
  for (const label of [LABEL, "ct-0123abcd-89abcdef-7"]) {
    const beside = join(box.home, ".cotrain-rented", label);
    mkdirSync(beside, { recursive: true });
    expect(await starter.start(LABEL, ADDRESS)).toEqual({
      type: "unstarted",
      what: "again",
      words: "Something was begun on it whose end was not seen.",
    });
  }
  expect(existsSync(join(box.home, "ran"))).toBe(false);
});

test("another key of the host ends it, a login that is refused is its account's; nothing is shown of what it was told", async () => {
  await starter.keep(order, TITLE);
  box.write("fault", "echo 'Host key verification failed.' >&2; exit 255\n");
  expect(await starter.start(LABEL, ADDRESS)).toMatchObject({
    what: "machine",
    words: expect.stringContaining("the one that was noted"),
  });
  box.write("fault", "echo 'root@203.0.113.30: Permission denied (publickey).' >&2; exit 255\n");
  expect(await starter.start(LABEL, ADDRESS)).toMatchObject({
    what: "account",
    words: expect.stringContaining("Permission denied"),
  });
  box.write("fault", `printf '\\033[2Jno room for ${PASS}' >&2; exit 1\n`);
  expect(await starter.start(LABEL, ADDRESS)).toEqual({
    type: "unstarted",
    what: "again",
    words: `${LABEL} does not answer: [2Jno room for (hidden).`,
  });
});

test("a machine that says too much, nothing, or never ends is bounded, and counts as not started", async () => {
  await starter.keep(order, TITLE);
  const again = { type: "unstarted", what: "again" };
  box.write("fault", "head -c 100000 /dev/zero | tr '\\0' x; echo; echo 'cotrain: done'; exit 0\n");
  expect(await starter.start(LABEL, ADDRESS)).toMatchObject(again);
  box.write("fault", "exit 0\n");
  expect(await starter.start(LABEL, ADDRESS)).toMatchObject(again);
  box.write("fault", "trap '' TERM; exec cat /dev/zero >/dev/null\n");
  expect(await opened(200).start(LABEL, ADDRESS)).toMatchObject(again);
});

test("what was never kept is not known, and no name that is none of ours is looked for", async () => {
  const unknown = { type: "unstarted", what: "machine", words: "What it is to do is not known here." };
  expect(await starter.start(LABEL, ADDRESS)).toEqual(unknown);
  expect(await starter.start(`${LABEL}#$(reboot)`, ADDRESS)).toEqual(unknown);
});

test("an order of another form is not kept, nor one that could not be started from here", async () => {
  await expect(starter.keep({ ...order, image: "$(reboot)" }, TITLE)).rejects.toMatchObject({ code: "ORDER" });
  const ending = new AbortController();
  const without = createStarter({ directory, identity: join(directory, "none"), signal: ending.signal });
  await expect(without.keep(order, TITLE)).rejects.toMatchObject({ code: "FILE_UNREADABLE" });
  vi.stubEnv("PATH", join(directory, "nothing"));
  await expect(starter.keep(order, TITLE)).rejects.toMatchObject({ code: "SSH_MISSING" });
  expect(kept()).toEqual([]);
});
