/** One's own machines over SSH, as an account. */
import { execFileSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { beforeEach, expect, onTestFinished, test, vi } from "vitest";

import { listSeen, type Order, type RentedAccount } from "../../../../offchain/src/market/base/renting.ts";
import { ownAccount } from "../../../../offchain/src/market/ownRenting.ts";
import { offerOf } from "../offers.ts";
import { LABEL, orderOf } from "./account.ts";
import { fake } from "./dialects/fake.ts";
import { type OwnBox, ownBox } from "./ownBox.ts";

const FREE = { charge: "on-demand", perHour: 0n, firm: true } as const;
const order: Order = orderOf(fake, {
  offer: offerOf({ id: "own:box", provider: "own", providerId: "box", upstream: "own", price: FREE }),
  maximumPerHour: 0n,
});
const directory = `.cotrain-rented/${LABEL}`;

let box: OwnBox;
let account: RentedAccount;

function opened(timeout?: number): Promise<RentedAccount> {
  const ending = new AbortController();
  onTestFinished(() => ending.abort());
  return ownAccount(box.machines, { signal: ending.signal, ...(timeout === undefined ? {} : { timeout }) });
}

beforeEach(async () => {
  vi.unstubAllEnvs();
  box = ownBox();
  vi.stubEnv("PATH", box.path);
  account = await opened();
});

const isThere = (name: string): boolean => existsSync(join(box.home, name));
const pipe = (name: string): void => void execFileSync("mkfifo", [join(box.home, name)]);
const stateOf = async () => (await account.list())[0]?.state;
const until = (state: string) => vi.waitFor(async () => expect(await stateOf()).toBe(state), { timeout: 30_000 });

/** A container that runs: nothing works beside the test any more. */
async function started(): Promise<string> {
  const { id } = await account.create(order);
  await until("running");
  return id;
}

test("an order becomes one container with its script and variables, is listed, and removed with them", async () => {
  const id = await started();
  expect(id).toMatch(new RegExp(`^box@[0-9a-f]{8}/${LABEL}$`));
  expect(box.read(`${directory}/start.sh`)).toBe(order.script);
  expect(box.read(`${directory}/environment`)).toBe(
    Object.entries(order.environment)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(""),
  );
  const file = `${box.home}/${directory}/environment`;
  expect(box.read("ran")).toContain(`--name cotrain --label cotrain=${LABEL} --env-file ${file}`);
  expect(box.read("ran")).toContain(`--entrypoint sh ${order.image} /start.sh`);
  expect(await account.list()).toMatchObject([{ id, label: LABEL, state: "running", words: "running" }]);
  expect(await account.get(id)).toMatchObject({ ssh: { host: "box.example", port: 2_222, user: "me" } });
  // There is room for one.
  await expect(account.create({ ...order, label: "ct-0123abcd-89abcdef-2" })).rejects.toMatchObject({
    code: "PROVIDER_CAPACITY",
  });
  expect(await account.terminate(id.replace(LABEL, "ct-0123abcd-89abcdef-9"))).toBe("accepted");
  expect(await account.list()).toHaveLength(1);
  expect(await account.terminate(id)).toBe("accepted");
  expect([isThere("container"), isThere(directory)]).toEqual([false, false]);
  const after = [await account.list(), await account.get(id), await account.terminate(id)];
  expect(after).toEqual([[], undefined, "accepted"]);
});

test("ssh gets these options and no others; neither script nor variables are arguments", async () => {
  await started();
  expect(new Set(box.read("arguments").trim().split("\n"))).toEqual(
    new Set([
      "-F none -T -p 2222 -l me -o BatchMode=yes -o StrictHostKeyChecking=yes -o UpdateHostKeys=no -o ConnectTimeout=15 -o ServerAliveInterval=10 -o ServerAliveCountMax=3 -o ForwardAgent=no -o ForwardX11=no -o ClearAllForwardings=yes -o PermitLocalCommand=no -o ProxyCommand=none -o LogLevel=ERROR -o IdentitiesOnly=yes -i /keys/my box -- box.example sh -s",
    ]),
  );
});

test("while its image is pulled it is listed; what is ended before is not started", async () => {
  pipe("gate");
  pipe("alive");
  const ended = readFile(join(box.home, "alive"));
  const { id } = await account.create(order);
  execFileSync("rm", [join(box.home, "alive")]);
  expect(await account.list()).toMatchObject([{ id, state: "creating", words: "pulling" }]);
  await account.terminate(id);
  expect(await account.list()).toEqual([]);
  box.write("gate", "now\n");
  await ended;
  expect(isThere("ran")).toBe(false);
});

test("what is ended while it starts is removed again", async () => {
  pipe("alive");
  const ended = readFile(join(box.home, "alive"));
  box.write("hook", `rm -rf ${directory}\n`);
  await account.create(order);
  await ended;
  expect([isThere("ran"), isThere("container")]).toEqual([true, false]);
});

test.each([
  ["refused", "unfinished no such image"],
  ["stuck", "unfinished docker: no GPU here"],
])("a container that is %s is a failure that says why, and is cleared away", async (how, words) => {
  pipe("alive");
  const ended = readFile(join(box.home, "alive"));
  box.write(how, "");
  const { id } = await account.create(order);
  await ended;
  execFileSync("rm", [join(box.home, "alive")]);
  // Whether what ended is still a process is its parent's to say.
  box.write(`${directory}/process`, "99999999\n");
  expect(await account.list()).toMatchObject([{ id, state: "failed", words }]);
  expect(await account.terminate(id)).toBe("accepted");
  expect([isThere("container"), isThere(directory)]).toEqual([false, false]);
});

test("a create whose end was not seen is ambiguous and names its machine; a look that failed is no absence", async () => {
  const id = await started();
  box.write("fault", "echo 'Connection closed by remote host' >&2; exit 255\n");
  await expect(account.create(order)).rejects.toMatchObject({
    code: "PROVIDER_AMBIGUOUS",
    message: expect.stringContaining("Connection closed"),
    details: { instance: id },
  });
  await expect(account.list()).rejects.toMatchObject({ code: "PROVIDER_AWAY" });
  await expect(account.terminate(id)).rejects.toMatchObject({ code: "PROVIDER_AWAY" });
  box.write("fault", "exit 0\n");
  await expect(account.create(order)).rejects.toMatchObject({ code: "PROVIDER_AMBIGUOUS" });
  await expect(account.list()).rejects.toMatchObject({ code: "PROVIDER_UNREADABLE" });
  await expect(account.get(id)).rejects.toMatchObject({ code: "PROVIDER_UNREADABLE" });
  box.write("fault", "echo 'Host key verification failed.' >&2; exit 255\n");
  await expect(account.create(order)).rejects.toMatchObject({ code: "PROVIDER_AUTH" });
});

test("of a script that was cut off nothing is done", async () => {
  // The shell of the machine gets all but the last words.
  box.write("fault", `head -c -8 | HOME="${box.home}" sh; exit 255\n`);
  await expect(account.create(order)).rejects.toMatchObject({ code: "PROVIDER_AMBIGUOUS" });
  expect(isThere(".cotrain-rented")).toBe(false);
});

test("of several machines those that answer are listed, and who does not is named", async () => {
  const machines = ["box", "other"].map((name) => ({ name, ssh: `me@${name}.example:22`, gpu: "RTX 3090", gpus: 1 }));
  writeFileSync(box.machines, JSON.stringify({ machines }));
  account = await opened();
  const { id } = await account.create(order);
  box.write("fault", `case "$*" in *other.example*) echo 'Connection timed out' >&2; exit 255;; esac\n`);
  const { instances, silent } = await listSeen(account);
  expect(instances.map((instance) => instance.id)).toEqual([id]);
  expect(silent).toMatchObject([
    {
      offer: "own:other",
      ids: expect.stringMatching(/^other@[0-9a-f]{8}\/$/),
      error: { code: "PROVIDER_AWAY", message: expect.stringMatching(/^other .*Connection timed out/) },
    },
  ]);
  // Who asks for all has none.
  await expect(account.list()).rejects.toMatchObject({ code: "PROVIDER_AWAY" });
  box.write("fault", "exit 255\n");
  await expect(listSeen(account)).rejects.toMatchObject({ code: "PROVIDER_AWAY" });
});

test("a machine that says anything, or too much, or never ends is bounded", async () => {
  box.write(
    "fault",
    `printf 'cotrain: ct-0123abcd-89abcdef-1 \\033[2J\\ncotrain: x; reboot\\ncotrain: done\\n'; exit 0\n`,
  );
  expect(await account.list()).toMatchObject([{ label: LABEL, state: "unknown", words: "[2J" }]);
  box.write("fault", "head -c 100000 /dev/zero | tr '\\0' x; echo; echo 'cotrain: done'; exit 0\n");
  await expect(account.list()).rejects.toMatchObject({ code: "PROVIDER_AWAY" });
  box.write("fault", "trap '' TERM; exec cat /dev/zero >/dev/null\n");
  await expect((await opened(200)).list()).rejects.toMatchObject({ code: "PROVIDER_AWAY" });
});

test("what the file does not have, or has elsewhere, is refused and never absent", async () => {
  const id = await started();
  await expect(account.get(id.replace("box", "elsewhere"))).rejects.toMatchObject({ code: "PROVIDER_REFUSED" });
  await expect(account.terminate(id.replace(LABEL, "$(reboot)"))).rejects.toMatchObject({ code: "PROVIDER_REFUSED" });
  await expect(account.create({ ...order, label: "x; reboot" })).rejects.toMatchObject({ code: "ORDER" });
  const machine = { name: "box", ssh: "me@other:22", gpu: "RTX 3090", gpus: 1 };
  writeFileSync(box.machines, JSON.stringify({ machines: [machine] }));
  const moved = await opened();
  expect(await moved.identity()).toBe(await account.identity());
  await expect(moved.get(id)).rejects.toMatchObject({ code: "PROVIDER_REFUSED" });
});

test.each([
  ["me@2001:db8::1", /in \[brackets\]/],
  ["me@box:99999", /as user@host/],
  ["me@box", /"a" and "b" are one machine/],
])("machines at %s are refused", async (ssh, words) => {
  const machine = { ssh, gpu: "RTX 3090", gpus: 1 };
  const machines = ["a", "b"].map((name) => ({ ...machine, name }));
  writeFileSync(box.machines, JSON.stringify({ machines }));
  await expect(opened()).rejects.toThrow(words);
});
