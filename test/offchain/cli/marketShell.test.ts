/** `cotrain market logs` and `ssh`, of machines that were rented and go on after whoever rented them. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { beforeEach, expect, test } from "vitest";

import { type OwnBox, ownBox } from "../market/renting/ownBox.ts";
import { rentalServer } from "./rentalServer.ts";
import { cotrain, cotrainHere, type Ended, refusal, temporaryDirectory, verdictOf } from "./support.ts";

const IMAGE = `ghcr.io/cotrain/worker@sha256:${"ab".repeat(32)}`;
let box: OwnBox;
let directory: string;

beforeEach(() => {
  box = ownBox();
  directory = temporaryDirectory();
  writeFileSync(join(directory, "start.sh"), "echo begins\n");
});
const kept = () => [`--leases=${join(directory, "leases")}`, `--keys=${join(directory, "keys")}`];

/** Rents one, and is killed once it has joined. @returns its label */
async function rented(...more: readonly string[]): Promise<string> {
  let label = "";
  const given = ["--budget=5", "--yes", "--every=300ms", `--image=${IMAGE}`, `--start=${join(directory, "start.sh")}`];
  await cotrain(["market", "rent", ...given, `--cache=${join(directory, "cache")}`, ...kept(), ...more], {
    environment: { PATH: box.path },
    onStderr: (stderr, child) => {
      label = /^(ct-\S+) at \w+ is joined$/m.exec(stderr)?.[1] ?? "";
      if (label !== "") child.kill("SIGKILL");
    },
  });
  expect(label).not.toBe("");
  return label;
}
const market = (...args: readonly string[]): Promise<Ended> =>
  cotrain(["market", ...args], { environment: { PATH: box.path } });

test(
  "of an own machine the log is shown and a shell begun, by its file of machines",
  { timeout: 300_000 },
  async () => {
    const own = [`--machines=${box.machines}`];
    const label = await rented("--provider=own", ...own);
    box.write("printed", "one\n\u001b[2Jtwo\nHF_TOKEN=hunter2\n");
    const said = await market("logs", label, ...kept(), ...own, "--lines=2");
    expect(said).toEqual({ code: 0, stdout: "\ufffd[2Jtwo\nHF_TOKEN=(hidden)\n", stderr: "" });
    expect(verdictOf(await market("ssh", label, ...kept().slice(0, 1)))).toEqual(
      refusal(1, "Own machines are those of a file: --machines FILE."),
    );
    // No shell of this machine reads the command: its program notes its words, and ends as it ends.
    box.write("fault", "exit 7\n");
    const { code } = await market("ssh", label, ...kept().slice(0, 1), ...own, "--identity=/keys/other one");
    expect(code).toBe(7);
    expect(box.read("arguments").trim().split("\n").at(-1)).toMatch(/ -l me .* -i \/keys\/other one -- box\.example$/);
  },
);

test(
  "of a cloud's the provider is asked, and the shell's host has a key for its lease",
  { timeout: 300_000 },
  async () => {
    const offers = [{ id: "m1", gpu: "RTX 4090", gpus: 1, usd_per_hour: "1.2" }];
    const { server } = await rentalServer(() => offers);
    const fake = `--endpoint=fake=${server.url}`;
    const label = await rented("--provider=fake", fake, "--accept-no-backstop");
    const said = await cotrainHere(["market", "logs", label, ...kept(), fake, "--lines=2", "--json"]);
    expect(JSON.parse(said.stdout)).toEqual({ lease: label, lines: ["two", "three"] });
    const { stdout } = await cotrainHere(["market", "ssh", label, ...kept().slice(0, 1), "--print"]);
    expect(stdout).toContain("ssh -F none -p 22 -l root -o StrictHostKeyChecking=accept-new");
    expect(stdout).toContain(join(directory, "leases/hosts", label));
    expect(stdout).toMatch(/ -- 203\.0\.113\.7\n$/);
    expect(verdictOf(await cotrainHere(["market", "ssh", "ct-none", ...kept().slice(0, 1)]))).toEqual(
      refusal(1, 'There is no lease "ct-none": market list shows those that there are.'),
    );
  },
);
