/** Logs of rented machines: as providers stream them, as scripts find them, and as they are shown. */
import { mkdirSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";

import { systemClock } from "../../../offchain/src/base/index.ts";
import { createApi } from "../../../offchain/src/market/base/api.ts";
import { eventLines } from "../../../offchain/src/market/base/events.ts";
import type { RentedAccount } from "../../../offchain/src/market/base/renting.ts";
import { createLimiter } from "../../../offchain/src/market/base/limiter.ts";
import { logOverSsh, shownLog } from "../../../offchain/src/market/logs.ts";
import { ownAccount, ownHost } from "../../../offchain/src/market/ownRenting.ts";
import { shellCommandOf, type SshHost } from "../../../offchain/src/market/ssh.ts";
import { listening } from "../../loopback.ts";
import { LABEL, lettingOf } from "./renting/account.ts";
import { dialects } from "./renting/dialects.ts";
import { fake } from "./renting/dialects/fake.ts";
import { type OwnBox, ownBox } from "./renting/ownBox.ts";
import { SECRET } from "./providers.ts";

describe("what is shown", () => {
  test("is the last lines, of bounded length, and acts on no terminal", () => {
    const log = `first\nsecond\r\n\u001b]0;title\u0007 third \u202e\n${"x".repeat(5_000)}\n\n`;
    const shown = shownLog(log, 3);
    expect(shown.slice(0, 2)).toEqual(["second", "\ufffd]0;title\ufffd third \ufffd"]);
    expect(shown[2]).toBe(`${"x".repeat(2_000)}…`);
    expect(shownLog(log, 1)).toHaveLength(1);
    expect(shownLog("\n\n", 5)).toEqual([]);
  });

  test.each([
    ["JOIN_PASS_0=eyJwYXNz", "JOIN_PASS_0=(hidden)"],
    ["Authorization: Bearer abc.def", "Authorization: (hidden)"],
    ['{"apiKey":"hunter2","step":3}', '{"apiKey":"(hidden)","step":3}'],
    ["HF_TOKEN=hunter2 step 3", "HF_TOKEN=(hidden) step 3"],
    ["--passphrase hunter2", "--passphrase (hidden)"],
    ["fetching https://me:hunter2@rpc.example/v3/0123456789", "fetching https://rpc.example/…"],
    [`pass ${"eyJ".padEnd(60, "a")} shown`, "pass (hidden) shown"],
    ["with rpa_0123456789ABCDEFGHIJ set", "with (hidden) set"],
  ])("has no secret: %s", (line, shown) => {
    expect(shownLog(line, 1)).toEqual([shown]);
  });

  test.each([
    "12,288 tokens, loss 3.21, key points of round 4",
    `checkpoint 0x${"ab".repeat(32)}`,
    "secretary of state",
  ])("keeps what is none: %s", (line) => expect(shownLog(line, 1)).toEqual([line]));

  test(
    "takes no time that grows with the square of a line: whoever writes it may fill it with spaces",
    {
      timeout: 10_000,
    },
    () => {
      const line = `token${" ".repeat(100_000)}`;
      expect(shownLog(line, 1)).toEqual([`${line.slice(0, 2_000)}…`]);
    },
  );
});

const event = (data: string): string => `id: 1\ndata: ${data}\n\n`;

test("events are lines, by a field of their JSON or as they are; what is of another form stays", () => {
  expect(eventLines(event('{"line":"a"}') + event('{"line":7}') + event('{"li'), "line")).toBe('a\n{"line":7}\n{"li');
  expect(eventLines(event("a") + event("b"))).toBe("a\nb");
  expect(eventLines("a\r\nb", "line")).toBe("a\nb");
});

test.each(["fake", "runpod", "ionet"])("%s tells those of a machine, without the key", async (name) => {
  const dialect = dialects.find((each) => each.name === name) ?? fake;
  const { account, cloud, passing, rent } = await lettingOf(dialect);
  await rent(1);
  const log = await passing(account.logs?.(cloud.machines[0]?.id ?? "", 7) ?? Promise.resolve(""));
  expect(log).toMatch(/^the last (7 )?of \S+\nby /);
  expect(log).not.toContain(SECRET);
  await expect(passing(account.logs?.("not-there", 7) ?? Promise.resolve(""))).rejects.toMatchObject({
    code: "PROVIDER_ABSENT",
  });
});

test("a stream that goes on is left when it is silent, or has told enough", async () => {
  const server = createServer((request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    if (request.url === "/endless") {
      const more = (): void => void response.write(`${"x".repeat(65_535)}\n`, more);
      more();
    } else response.write("data: one\n\n");
  });
  const base = await listening(server);
  const ending = new AbortController();
  onTestFinished(() => {
    ending.abort();
    server.closeAllConnections();
    server.close();
  });
  const call = createApi({
    title: "Some provider",
    base,
    account: { headers: {} },
    refusals: [],
    limiter: createLimiter(systemClock, { read: { perMinute: 6_000 } }),
    clock: systemClock,
    random: () => 0,
    signal: ending.signal,
  });
  const read = { method: "GET", endpoint: "read", repeatable: true, stream: true } as const;
  expect(await call({ ...read, path: "/silent" })).toBe("data: one\n\n");
  expect(String(await call({ ...read, path: "/endless" }))).toHaveLength(256 << 10);
}, 30_000);

const idOf = async (account: RentedAccount): Promise<string> => (await account.list())[0]?.id ?? "";
const cloud = (file: string): SshHost => ({
  name: LABEL,
  address: { host: "203.0.113.7", port: 22, user: "root" },
  key: "/keys/a",
  noted: { file, as: LABEL },
});

describe("over ssh", () => {
  let box: OwnBox;
  const at = { signal: new AbortController().signal };
  beforeEach(() => {
    vi.unstubAllEnvs();
    box = ownBox();
    vi.stubEnv("PATH", box.path);
  });

  test("an own machine tells its container's, before that what its start printed, and of no other's", async () => {
    const account = await ownAccount(box.machines, at);
    box.write("container", `${LABEL} running\n`);
    box.write("printed", "one\ntwo\nthree");
    const id = await idOf(account);
    expect(await account.logs?.(id, 2)).toBe("two\nthree");
    rmSync(join(box.home, "container"));
    mkdirSync(join(box.home, ".cotrain-rented", LABEL), { recursive: true });
    box.write(`.cotrain-rented/${LABEL}/log`, "pulling\n");
    expect(await account.logs?.(id, 2)).toBe("pulling\n");
    await expect(account.logs?.("box@00000000/ct-0123abcd-89abcdef-1", 2)).rejects.toMatchObject({
      code: "PROVIDER_REFUSED",
    });
  });

  test("a machine of a cloud tells our container's; an answer that ends too early is none", async () => {
    box.write("container", `${LABEL} running\n`);
    box.write("printed", "one\ntwo\nthree\n");
    expect(await logOverSsh(cloud("/a"), 2, at)).toBe("two\nthree\n");
    box.write("fault", "echo 'cotrain: log begins'; echo one; exit 0\n");
    await expect(logOverSsh(cloud("/a"), 2, at)).rejects.toMatchObject({ code: "PROVIDER_UNREADABLE" });
  });

  test("the key of a rented machine's host is taken once, under its lease's name; one's own must be known", async () => {
    const rented = shellCommandOf(cloud("/my leases/100%/a"));
    expect(rented.join(" ")).toContain(
      `-o StrictHostKeyChecking=accept-new -o UserKnownHostsFile="/my leases/100%%/a" -o GlobalKnownHostsFile=none -o HostKeyAlias=${LABEL} `,
    );
    expect(rented.slice(-2)).toEqual(["--", "203.0.113.7"]);
    expect(rented.join(" ")).not.toContain("BatchMode");
    for (const bad of ["/a$HOME", '/a"b', "~/a", "/a\nb", "/a\\b"])
      expect(() => shellCommandOf(cloud(bad))).toThrow(/ssh cannot be told the file/);
    box.write("container", `${LABEL} running\n`);
    const id = await idOf(await ownAccount(box.machines, at));
    const own = shellCommandOf(await ownHost(box.machines, id)).join(" ");
    expect(own).toContain("-o StrictHostKeyChecking=yes -o UpdateHostKeys=no ");
    expect(own).toMatch(/ -i \/keys\/my box -- box\.example$/);
  });
});
