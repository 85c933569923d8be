/**
 * Bad input, line by line: one sentence that says what, where and what to do; exit code 1, or 75 where trying again helps;
 * nothing half-written. What needs a run that is there already is in finishedRun.test.ts, what needs another machine in
 * test/deploy/bootstrap.test.ts.
 */
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

import { describe, expect, onTestFinished, test, vi } from "vitest";

import { connect } from "../../../offchain/src/chain/index.ts";
import { findPort, openStateDirectory } from "../../../offchain/src/service/index.ts";
import {
  contentOf,
  cotrain,
  cotrainHere,
  refusal,
  takenPort,
  temporaryDirectory,
  type Verdict,
  verdictOf,
} from "./support.ts";
import { listening } from "../../loopback.ts";

/** `cotrain up` on a state that does not exist yet; it must not exist afterwards either. */
async function up(args: readonly string[], run = cotrainHere): Promise<Verdict> {
  const directory = temporaryDirectory();
  const ended = await run(["up", "--state", join(directory, "state"), "--preset", "0.1m", "--exit", ...args]);
  expect(readdirSync(directory)).toEqual([]);
  return verdictOf(ended);
}

const words = "All work and no play makes for a dull text to train on.\n";

/** A file of this content in a directory of its own. */
function file(name: string, content: string | Uint8Array): string {
  const path = join(temporaryDirectory(), name);
  writeFileSync(path, content);
  return path;
}

/** A JSON-RPC that knows one answer. */
async function rpcOf(chainId: number): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    request.once("end", () => response.end(`{"jsonrpc":"2.0","id":0,"result":"0x${chainId.toString(16)}"}`));
  });
  onTestFinished(() => void server.close());
  return listening(server);
}

test.each([
  ["nobody's name", "ada=12", /--founders must be an address with its shares/],
  ["an address with a wrong checksum", `0x${"aB".repeat(20)}=12`, /in --founders is no address, by its checksum/],
  ["no shares", `0x${"ab".repeat(20)}=0`, /--founders gives 0x(ab){20} no shares/i],
])("founders that are %s", async (_, founders, sentence) => {
  expect(await up(["--founders", founders])).toEqual(refusal(1, sentence));
});

test("a sale of a new model on a chain that has test dollars", async () => {
  const sentence = /--capital is for chains whose tokens are worth something/;
  expect(await up(["--capital", `0x${"ab".repeat(20)}=0.01`])).toEqual(refusal(1, sentence));
});

test.each([
  [["delegate"]],
  [["shares", "--address"]],
  [["capital", "deposit", "1", "--for"]],
  [["worker", "--beneficiary"]],
  [["maintainers", "propose", "--add"]],
  [["poster", "propose"]],
  [["stake", "payee"]],
])("an address whose checksum is wrong is quoted as it was typed: %s", async (words) => {
  const typed = "0x33140A4eFA9e2334C956a36bf64223f9F168280D";
  expect(await cotrainHere([...words, typed])).toMatchObject({ code: 1, stderr: expect.stringContaining(typed) });
});

describe("text", () => {
  test("that is not there", async () => {
    expect(await up(["--data", "/no/such/book.txt"], cotrain)).toEqual(
      refusal(1, /\/no\/such\/book\.txt does not exist: name another text with --data/),
    );
  });

  test("that cannot be read", async () => {
    const directory = temporaryDirectory();
    expect(await up(["--data", directory])).toEqual(
      refusal(1, `${directory} is not a regular file: name another text with --data`),
    );
  });

  test("that is too short", async () => {
    expect(await up(["--data", file("short.txt", words)])).toEqual(
      refusal(1, /short\.txt has 56 bytes; a text to train on has at least 32768: name another text/),
    );
  });

  test("that is no text", async () => {
    const noise = Uint8Array.from({ length: 40_000 }, (_, index) => (index * 197) % 256);
    expect(await up(["--data", file("noise.bin", noise)])).toEqual(
      refusal(1, /noise\.bin is not a text in UTF-8: .*: name another text/),
    );
  });
});

describe("preset", () => {
  test("that is unknown, with the nearest that is known", async () => {
    expect(await up(["--preset", "3.5mm"])).toEqual(
      refusal(
        1,
        /no model preset "3\.5mm": choose one of 0\.1m, 1m, 3\.5m, 20m with --preset\. Did you mean "3\.5m"\?/,
      ),
    );
  });

  test("or text that no run could have is refused as such where there is a run, before a start anew is advised", async () => {
    const state = join(temporaryDirectory(), "state");
    (await openStateDirectory(state, { create: true })).close();
    writeFileSync(join(state, "run.json"), JSON.stringify(runOn("http://127.0.0.1:9", 1_337)));
    const again = async (...more: readonly string[]) =>
      verdictOf(await cotrainHere(["up", "--state", state, "--exit", ...more]));
    expect(await again("--preset", "7m")).toEqual(refusal(1, /There is no model preset "7m": choose one of 0\.1m, 1m/));
    const noise = file(
      "noise.bin",
      Uint8Array.from({ length: 40_000 }, (_, index) => (index * 197) % 256),
    );
    expect(await again("--data", noise)).toEqual(
      refusal(1, /noise\.bin is not a text in UTF-8: .*: name another text/),
    );
    const book = file("book.txt", words.repeat(1_000));
    expect(await again("--data", book)).toEqual(
      refusal(1, `This state holds a run with the Brown corpus, not ${book}: leave --data out to go on with it`),
    );
    vi.stubEnv("COTRAIN_PRESET", "1m");
    onTestFinished(() => void vi.unstubAllEnvs());
    expect(await again()).toEqual(
      refusal(1, "This state holds a run with preset 0.1m, not 1m: unset COTRAIN_PRESET to go on with it"),
    );
  });

  test("that needs a tokenizer which is not shipped", async () => {
    expect(await up(["--preset", "1b"])).toEqual(
      refusal(1, /preset 1b needs a larger tokenizer .*: choose one of 0\.1m, 1m/),
    );
  });
});

describe("how inner steps are taken", () => {
  test("that does not go together, before anything is made", async () => {
    expect(await up(["--schedule", "cosine", "--decay-steps", "5"])).toEqual(
      refusal(1, "--decay-steps says nothing of --schedule cosine: leave it out, or name --schedule wsd."),
    );
    expect(await up(["--optimizer", "adam"])).toEqual(
      refusal(1, '--optimizer must be one of adamw, muon, sgd, not "adam".'),
    );
  });

  test("stays as it is where there is a run; another start anew names all of it", async () => {
    const state = join(temporaryDirectory(), "state");
    (await openStateDirectory(state, { create: true })).close();
    const run = runOn("http://127.0.0.1:9", 1_337);
    const kept = { optimizer: "muon", schedule: "wsd", decaySteps: 70, microBatches: 2 };
    writeFileSync(join(state, "run.json"), JSON.stringify({ ...run, settings: { ...run.settings, ...kept } }));
    const again = async (...more: readonly string[]) =>
      verdictOf(await cotrainHere(["up", "--state", state, "--exit", ...more]));
    expect(await again("--optimizer", "muon", "--schedule", "cosine", "--recompute")).toEqual(
      refusal(
        1,
        new RegExp(
          `This state holds a run with --schedule wsd, not cosine: leave --schedule out to go on with it, or start anew with "npm start -- --fresh .*--optimizer muon --schedule cosine --micro-batches 2 --recompute --state`,
        ),
      ),
    );
    expect(await again("--decay-steps", "80")).toEqual(
      refusal(1, "This state holds a run with --decay-steps 70, not 80: leave --decay-steps out"),
    );
    expect(await again("--recompute")).toEqual(
      refusal(1, "This state holds a run with no --recompute of its own, not --recompute: leave --recompute out"),
    );
    const settings = { ...run.settings, ...kept, recompute: true };
    writeFileSync(join(state, "run.json"), JSON.stringify({ ...run, settings }));
    expect(await again("--no-recompute")).toEqual(
      refusal(1, "This state holds a run with --recompute, not --no-recompute: leave --no-recompute out"),
    );
    writeFileSync(join(state, "run.json"), JSON.stringify({ ...run, settings: { ...settings, recompute: false } }));
    // The same in other words is no other wish; the chain is looked for next.
    expect(await again("--optimizer", "muon", "--no-recompute")).toEqual(refusal(75, /127\.0\.0\.1:9 does not answer/));
  });
});

test("an address that nobody has the key of, or with a slip in it, is paid nothing: nothing is made", async () => {
  const state = join(temporaryDirectory(), "state");
  const address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
  for (const slip of [`0x${"0".repeat(40)}`, address.replace("5aA", "5AA")])
    for (const command of [
      ["worker", "--beneficiary"],
      ["rewards", "list", "--account"],
    ])
      expect(verdictOf(await cotrainHere([...command, slip, "--state", state]))).toEqual(
        refusal(1, `${command.at(-1)} must be an address of 0x and 40 hex digits that is not zero`),
      );
  expect(contentOf(state)).toBeUndefined();
});

test("a coordinator that is asked once and does not answer, with what to look at", async () => {
  for (const command of [["status"], ["checkpoint", "list"], ["verify", "--rpc", "http://127.0.0.1:9"]])
    expect(verdictOf(await cotrainHere([...command, "--coordinator", "http://127.0.0.1:9"]))).toEqual(
      refusal(
        75,
        "The coordinator at http://127.0.0.1:9 does not answer: see whether its /health answers from this machine, or name another with --coordinator.",
      ),
    );
});

test("a bound of fees that is no number", async () => {
  const voting = [
    ["propose", "innerSteps=48"],
    ["vote", "4711081", "for"],
    ["proposals", "execute", "4711081"],
  ];
  for (const command of [["up"], ["coordinator"], ["rewards", "claim"], ["builds", "propose"], ...voting])
    expect(verdictOf(await cotrainHere([...command, "--max-fee", "much"]))).toEqual(
      refusal(1, /^--max-fee must be a number from .*, not "much"\.$/),
    );
});

test("a bound of bonds that is no number", async () => {
  for (const command of [["up"], ["coordinator"], ["disputes", "open"]])
    expect(verdictOf(await cotrainHere([...command, "--bond-at-most", "much"]))).toEqual(
      refusal(1, /^--bond-at-most must be a number from .*, not "much"\.$/),
    );
});

test("an amount of revenue that is no number", async () => {
  expect(verdictOf(await cotrainHere(["coordinator", "--revenue-at-least", "much"]))).toEqual(
    refusal(1, /^--revenue-at-least must be a number from .*, not "much"\.$/),
  );
});

test("a number of epochs that is none", async () => {
  expect(verdictOf(await cotrainHere(["rewards", "list", "--epochs", "0"]))).toEqual(
    refusal(1, /^--epochs must be .* from 1 to 4096, not "0"\.$/),
  );
});

describe("port that another program has", () => {
  test("for the coordinator", async () => {
    const port = await takenPort();
    expect(await up(["--port", String(port)])).toEqual(
      refusal(
        1,
        `Port ${port} on 127.0.0.1 is in use by another program, so the coordinator cannot listen there: stop that program, or name another port with --port.`,
      ),
    );
  });

  test("for the chain", async () => {
    const port = await takenPort();
    expect(await up(["--chain-port", String(port)])).toEqual(
      refusal(
        1,
        `Port ${port} on 127.0.0.1 is in use by another program, so the chain cannot listen there: stop that program, or name another port with --chain-port.`,
      ),
    );
  });

  test("because both were given the same", async () => {
    const port = String(await findPort({ port: 0, explicit: true }));
    expect(await up(["--port", port, "--chain-port", port])).toEqual(
      refusal(1, `--port and --chain-port are both ${port}: name two different ports.`),
    );
  });
});

describe("device", () => {
  test("whose index nothing takes", async () => {
    expect(await up(["--device", "cpu,webgpu:1"])).toEqual(
      refusal(1, /webgpu:1 cannot be chosen: ONNX Runtime chooses /),
    );
  });

  test("that is not there, before anything is made for it or a coordinator asked", async () => {
    const absent = refusal(1, /cuda:99: [^.]* GPU 99 [^.]*\. "npx cotrain doctor" [^.]* --device auto [^.]*\./);
    expect(await up(["--device", "cpu,cuda:99"])).toEqual(absent);
    const state = join(temporaryDirectory(), "state");
    const words = ["worker", "--device", "cuda:99", "--coordinator", "http://127.0.0.1:9", "--state", state];
    expect(verdictOf(await cotrain(words))).toEqual(absent);
    const proposed = ["builds", "propose", "--device", "cuda:99", "--coordinator", "http://127.0.0.1:9"];
    expect(verdictOf(await cotrain(proposed))).toEqual(
      refusal(1, /cuda:99: [^.]* GPU 99 [^.]*\. "npx cotrain doctor" says what this machine has\./),
    );
  });
});

describe("host", () => {
  test("that is not this machine's", async () => {
    expect(await up(["--host", "192.0.2.1", "--behind-proxy", "192.0.2.2"])).toEqual(
      refusal(1, /192\.0\.2\.1 is not an address of this machine: name one that is with --host/),
    );
  });

  test("beyond loopback without TLS", async () => {
    expect(await up(["--host", "0.0.0.0"])).toEqual(
      refusal(
        1,
        /Listening on 0\.0\.0\.0 reaches beyond this machine and needs TLS: give --tls-cert and --tls-key, or --behind-proxy/,
      ),
    );
  });

  test("with half of what TLS needs, or a certificate that is none", async () => {
    expect(await up(["--tls-cert", "cert.pem"])).toEqual(refusal(1, "TLS takes both --tls-cert and --tls-key"));
    expect(await up(["--tls-cert", "/no/such.pem", "--tls-key", "/no/such.pem"])).toEqual(
      refusal(1, /\/no\/such\.pem does not exist: name a PEM file with --tls-(cert|key)\./),
    );
    const pem = file("cert.pem", "nothing");
    expect(await up(["--tls-cert", pem, "--tls-key", pem])).toEqual(refusal(1, /cert\.pem/));
  });
});

describe("chain", () => {
  test("whose RPC does not answer: try again", async () => {
    expect(await up(["--rpc", "http://127.0.0.1:9"])).toEqual(
      refusal(
        75,
        "The chain's RPC at http://127.0.0.1:9 does not answer: try again when it does, or name another with --rpc.",
      ),
    );
  });

  test("that is another than the run's", async () => {
    const url = await rpcOf(424_242);
    const state = join(temporaryDirectory(), "state");
    (await openStateDirectory(state, { create: true })).close();
    writeFileSync(join(state, "run.json"), JSON.stringify(runOn(url, 1_337)));
    const before = contentOf(state);
    const ended = await cotrainHere(["up", "--state", state, "--exit"]);
    expect(verdictOf(ended)).toEqual(
      refusal(1, `The RPC at ${url} is chain 424242, but this run lives on chain 1337: name another RPC.`),
    );
    expect(contentOf(state)).toEqual(before);
    // The keys of providers, in paths and queries, are nobody's business.
    expect(
      verdictOf(await cotrainHere(["up", "--state", state, "--exit", "--rpc", `${url}/v3/SECRET?key=SECRET`])),
    ).toEqual(refusal(1, /The RPC at http:\/\/127\.0\.0\.1:\d+\/… is chain 424242/));
    expect(verdictOf(await cotrainHere(["generate", "--state", state]))).toEqual(
      refusal(
        1,
        `${state} holds no run: start one with "npm start -- --state ${state}", or name another directory with --state.`,
      ),
    );
  });

  test("whose RPC is the coordinator, or some page: it answers, but is none", async () => {
    for (const [status, body] of [
      [404, "<html>"],
      [405, '{"error":{"code":"METHOD","message":"No."}}'],
      [200, "<html>"],
    ] as const) {
      const server = createServer((_, response) => response.writeHead(status).end(body));
      const url = await listening(server);
      onTestFinished(() => void server.close());
      const sentence = `What answers at ${url} is no JSON-RPC of a chain: name the chain's own with --rpc.`;
      expect(await up(["--rpc", url])).toEqual(refusal(1, sentence));
      await expect(connect({ rpcUrl: url, chainId: 31_337, retries: 0 })).rejects.toThrow(sentence);
    }
  });

  test("that is no URL", async () => {
    expect(await up(["--rpc", "localhost:8545"])).toEqual(refusal(1, /--rpc must be a URL that starts with http/));
  });
});

const runOn = (rpcUrl: string, chainId: number) => ({
  version: 1,
  startedAt: "2026-11-24T00:00:00.000Z",
  chain: { chainId, rpcUrl, embedded: false },
  ports: {},
  urls: {},
  settings: { preset: "0.1m", rpc: rpcUrl },
});

describe("state directory", () => {
  test("that cannot be written, even by the superuser", async () => {
    expect(verdictOf(await cotrainHere(["up", "--state", "/proc/cotrain/state", "--exit"]))).toEqual(
      refusal(1, "/proc/cotrain cannot be made: /proc takes no directories: name another directory with --state."),
    );
    expect(verdictOf(await cotrain(["worker", "--state", "/proc/cotrain/state"]))).toEqual(
      refusal(1, /\/proc takes no directories/),
    );
  });

  test("with a file in its way", async () => {
    const path = file("in-the-way", "mine");
    expect(verdictOf(await cotrainHere(["up", "--state", join(path, "state"), "--exit"]))).toEqual(
      refusal(
        1,
        /in-the-way\/state cannot hold state: it, or something above it, is not a directory: name another directory with --state\./,
      ),
    );
    expect(readFileSync(path, "utf8")).toBe("mine");
  });

  test("that holds something else", async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "thesis.tex"), "\\begin{document}");
    for (const more of [[], ["--fresh"]]) {
      const ended = await cotrainHere(["up", "--state", directory, "--exit", ...more]);
      expect(verdictOf(ended)).toEqual(
        refusal(1, /is not empty and holds no Cotrain state .*: name an empty or new directory/),
      );
    }
    expect(readdirSync(directory)).toEqual(["thesis.tex"]);
  });

  test("in which another process runs", async () => {
    const state = join(temporaryDirectory(), "state");
    const first = await openStateDirectory(state, { create: true });
    onTestFinished(() => first.close());
    const before = contentOf(state);
    for (const more of [[], ["--fresh"]]) {
      const ended = await cotrain(["up", "--state", state, "--exit", "--preset", "0.1m", ...more]);
      expect(verdictOf(ended)).toEqual(
        refusal(
          1,
          `${state} is in use by another Cotrain process (pid ${process.pid}): stop that one first, or name another directory with --state.`,
        ),
      );
    }
    expect(contentOf(state)).toEqual(before);
  });

  test.each([
    ["1", "holds state of version 1, but this Cotrain supports version 9"],
    ["?", "holds state of an unreadable version, but this Cotrain supports version 9"],
  ])("of version %s, with the command that archives it", async (version, sentence) => {
    const state = temporaryDirectory();
    writeFileSync(join(state, "VERSION"), `${version}\n`);
    writeFileSync(join(state, "precious"), "");
    // A worker's own state looks like this: nothing that "npm start" could begin anew.
    const away = `${state} ${sentence}: move that directory away and begin again.`;
    expect(verdictOf(await cotrainHere(["up", "--state", state, "--exit"]))).toEqual(refusal(1, away));
    writeFileSync(join(state, "run.json"), JSON.stringify({ settings: { preset: "0.1m" } }));
    const before = contentOf(state);
    const remedy = `${state} ${sentence}: put it aside and start anew with "npm start -- --fresh --preset 0.1m --state ${state}".`;
    expect(verdictOf(await cotrainHere(["up", "--state", state, "--exit"]))).toEqual(refusal(1, remedy));
    expect(verdictOf(await cotrain(["coordinator", "--state", state]))).toEqual(refusal(1, state));
    expect(contentOf(state)).toEqual(before);
  });

  test("whose run.json is damaged", async () => {
    const state = join(temporaryDirectory(), "state");
    (await openStateDirectory(state, { create: true })).close();
    const path = join(state, "run.json");
    for (const [damage, fault] of [
      ['{"version":1,"star', "is not valid JSON in UTF-8"],
      ['{"version":1}', "is damaged ("],
    ] as const) {
      writeFileSync(path, damage);
      const before = contentOf(state);
      for (const command of [["up", "--exit"], ["status"], ["verify"]]) {
        const ended = await cotrainHere([...command, "--state", state]);
        expect(verdictOf(ended)).toEqual(refusal(1, `${path} ${fault}`));
        expect(ended.stderr).toContain(
          `put the state aside and start anew with "npm start -- --fresh --state ${state}"`,
        );
      }
      expect(contentOf(state)).toEqual(before);
    }
  });

  test("of another user is not taken for one without a run", async () => {
    // A link to itself: the system lets nobody through, the superuser neither.
    const state = join(temporaryDirectory(), "state");
    symlinkSync(state, state);
    for (const command of [["status"], ["verify"], ["generate"], ["rewards", "list"]])
      expect(verdictOf(await cotrainHere([...command, "--state", state]))).toEqual(
        refusal(
          1,
          `${state} cannot be read (ELOOP): become the user who began it, or name another directory with --state.`,
        ),
      );
  });

  test("with an imported model: no other run is begun in its place", async () => {
    const state = join(temporaryDirectory(), "state");
    (await openStateDirectory(state, { create: true })).close();
    writeFileSync(join(state, "model.json"), JSON.stringify({ bundle: `0x${"11".repeat(32)}` }));
    const before = contentOf(state);
    expect(verdictOf(await cotrainHere(["up", "--state", state, "--preset", "0.1m", "--exit"]))).toEqual(
      refusal(
        1,
        `${state} holds an imported model, and a run of its own would begin with another, untrained one: name another directory with --state, or put the model aside with "npm start -- --fresh --state ${state}".`,
      ),
    );
    expect(contentOf(state)).toEqual(before);
    const status = verdictOf(await cotrainHere(["status", "--state", state]));
    expect(status).toEqual(
      refusal(
        1,
        `${state} holds an imported model and no run: let it write with "npx cotrain generate --state ${state}", compare it with its chain with "npx cotrain verify --rpc URL --state ${state}".`,
      ),
    );
  });

  test("a mistake in the request does not put the old state aside", async () => {
    const directory = temporaryDirectory();
    const state = join(directory, "state");
    (await openStateDirectory(state, { create: true })).close();
    const ended = await cotrainHere(["up", "--state", state, "--exit", "--fresh", "--preset", "huge"]);
    expect(verdictOf(ended)).toEqual(refusal(1, 'no model preset "huge"'));
    expect(readdirSync(directory)).toEqual(["state"]);
  });
});

test("a CAR file that is not there, or is none that can be read", async () => {
  const directory = temporaryDirectory();
  const state = join(directory, "state");
  const importing = async (path: string) =>
    verdictOf(await cotrainHere(["checkpoint", "import", path, "--state", state]));
  const remedy = 'name a CAR file that "npx cotrain checkpoint export" wrote.';
  const none = join(directory, "none.car");
  expect(await importing(none)).toEqual(refusal(1, `${none} does not exist: ${remedy}`));
  expect(await importing(directory)).toEqual(refusal(1, `${directory} is a directory, not a file: ${remedy}`));
  expect(readdirSync(directory)).toEqual([]);
});

test("daemons whose log is JSON say what is wrong as one line of it, and nothing beside", async () => {
  const state = join(temporaryDirectory(), "state");
  for (const [command, sentence] of [
    ["coordinator", "holds no run"],
    ["validator", "A validator needs the chain itself"],
  ] as const) {
    const { stderr, code } = await cotrain([command, "--state", state]);
    expect(code).toBe(1);
    const told = stderr
      .trimEnd()
      .split("\n")
      .filter((line) => line.includes(sentence));
    expect(told).toHaveLength(1);
    expect(JSON.parse(told[0] ?? "")).toMatchObject({ level: 50 });
  }
});

describe("wallet", () => {
  test("without its passphrase, or the other way round", async () => {
    const sentence = "--wallet and --passphrase-file belong together: name both or none.";
    expect(await up(["--wallet", "me.json"])).toEqual(refusal(1, sentence));
    expect(await up(["--passphrase-file", "pass"])).toEqual(refusal(1, sentence));
  });

  test("that is not there, or is none", async () => {
    expect(await up(["--wallet", "/no/wallet.json", "--passphrase-file", "/no/pass"])).toEqual(
      refusal(1, "/no/wallet.json does not exist: name an encrypted keystore with --wallet"),
    );
    const directory = temporaryDirectory();
    mkdirSync(join(directory, "keys"));
    const pass = file("pass", "secret\n");
    expect(await up(["--wallet", file("wallet.json", "{}"), "--passphrase-file", pass])).toEqual(
      refusal(1, /wallet\.json|pass/),
    );
  });
});
