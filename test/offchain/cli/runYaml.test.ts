/** One YAML file for a run and what it may rent: what is read of it, what is refused in which line, and what it never says. */
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { beforeEach, describe, expect, test, vi } from "vitest";

import { type Described, readRunYaml } from "../../../offchain/src/cli/runYaml.ts";
import { planOptions } from "../../../offchain/src/cli/planning.ts";
import { rentOptions } from "../../../offchain/src/cli/wanted.ts";
import { localnetOptions } from "../../../offchain/src/run/index.ts";
import { type RentalServer, rentalServer } from "./rentalServer.ts";
import { cotrainHere, refusal, root, temporaryDirectory, verdictOf } from "./support.ts";

const sections = { run: localnetOptions, market: { ...planOptions, ...rentOptions } };
let directory: string;
beforeEach(() => {
  vi.unstubAllEnvs();
  directory = temporaryDirectory();
});

function written(text: string): string {
  const path = join(directory, "run.yaml");
  writeFileSync(path, text);
  return path;
}
const read = (text: string): Promise<Described> => readRunYaml(written(text), sections);

describe("what is read", () => {
  test("the example of the documentation", async () => {
    const example = /```yaml\n(run:[^]*?)```/.exec(readFileSync(join(root, "docs/market.md"), "utf8"))?.[1] ?? "";
    const { run, market } = await read(example);
    expect(run).toMatchObject({ preset: "1m" });
    expect(market).toMatchObject({ budget: 200, deadline: "24h", mode: "loose" });
    expect(market["anyOf"]).toBe("gpu=H100/A100,charge=spot;gpu=H100/A100;gpu=4090,maxPrice=0.5");
  });

  test("a link that stays beside it, and a directory that is reached by one, are as any", async () => {
    symlinkSync("s.sh", join(directory, "link.sh"));
    writeFileSync(join(directory, "s.sh"), "");
    expect((await read("market: { start: ./link.sh }")).market).toEqual({ start: join(directory, "link.sh") });
    const other = join(temporaryDirectory(), "by");
    symlinkSync(directory, other);
    expect((await readRunYaml(join(other, "run.yaml"), sections)).market).toEqual({ start: join(other, "link.sh") });
  });

  test("files lie beside it; what is typed as text or number is what its option takes", async () => {
    expect(
      await read("run: { data: text.txt, innerSteps: 24, recompute: true }\nmarket: { gpu: H100, start: in/s.sh }"),
    ).toEqual({
      run: { data: join(directory, "text.txt"), innerSteps: 24, recompute: true },
      market: { gpu: "H100", start: join(directory, "in/s.sh") },
    });
    expect(await read("run:\nmarket:\n")).toEqual({ run: {}, market: {} });
  });
});

describe("what is refused, with its line", () => {
  test.each([
    [
      "a section that is none",
      "run:\n  preset: 1m\nmarkt:\n  budget: 1\n",
      3,
      '"markt" is no section: there are run and market.',
    ],
    ["a setting that is none", "market:\n  budgt: 1\n", 2, '"budgt" is no setting of market. Did you mean "budget"?'],
    ["a setting of the other section", "run:\n\n  budget: 1\n", 3, '"budget" is no setting of run.'],
    ["a value that is not allowed", "market:\n  budget: much\n", 2, "budget must be a number from 0.01 to "],
    ["a time without its unit", "market:\n  deadline: 24\n", 2, "deadline must be a duration such as 45s, 3m or 1h."],
    [
      "a key twice",
      "market:\n  budget: 1\n  budget: 2\n",
      3,
      "it is no YAML that is read here: Map keys must be unique.",
    ],
    ["an alias", "market:\n  gpu: &a [H100]\n  country: *a\n", 3, "it has an alias: write the value out."],
    ["a broken line", "market:\n  budget: [1\n", 3, "it is no YAML that is read here: "],
    ["two documents", "run:\n---\nmarket:\n", 2, "it is no YAML that is read here: "],
    ["a tag", "market:\n  budget: !!js/function x\n", 2, "it is no YAML that is read here: "],
    ["no sections", "- run\n", 1, "it must have the sections run and market."],
    ["nothing", "", 1, "it must have the sections run and market."],
    ["a section that is a word", "run: 1m\n", 1, "run must have settings, one a line."],
    ["an alternative that is none", "market:\n  anyOf: [H100]\n", 2, "anyOf must be up to 32 alternatives such as "],
    [
      "an alternative with more in a word",
      "market:\n  anyOf: [{ gpu: 'H100,charge=spot' }]\n",
      2,
      "anyOf must be up to ",
    ],
    [
      "an alternative with another key",
      "market:\n  anyOf:\n    - gpu: H100\n      chrge: spot\n",
      4,
      '"chrge" is no wish of an alternative. Did you mean "charge"?',
    ],
    [
      "an alternative's value",
      "market:\n  anyOf:\n    - { gpu: H100, maxPrice: -1 }\n",
      3,
      "maxPrice must be a number ",
    ],
    ["alternatives as text", "market:\n  anyOf: gpu=H100\n", 2, "anyOf must be a list of alternatives."],
    ["a model that there is none of", "run:\n  preset: 3m\n", 2, "preset must be one of "],
    ["levels without end", "[".repeat(60_000), 1, "it "],
  ])("%s", async (_, text, line, why) => {
    await expect(read(text)).rejects.toMatchObject({
      code: "RUN_FILE",
      message: expect.stringContaining(`run.yaml, line ${line}: ${why}`),
    });
  });

  test.each(["yes", "confirmAbove", "acceptNoBackstop", "keys", "wallet", "endpoint", "dryRun"])(
    "what spends, or where keys are: %s",
    async (key) => {
      await expect(read(`market:\n  ${key}: true\n`)).rejects.toMatchObject({
        message: expect.stringContaining(`line 2: "${key}" is no setting of market.`),
      });
    },
  );

  test.each(["/etc/passwd", "../s.sh", "in/../../s.sh", "out", "out/s.sh", "nowhere", "secret.sh"])(
    "a file that lies elsewhere: %s",
    async (name) => {
      const elsewhere = temporaryDirectory();
      writeFileSync(join(elsewhere, "s.sh"), "echo secret");
      symlinkSync(elsewhere, join(directory, "out"));
      symlinkSync(join(elsewhere, "none"), join(directory, "nowhere"));
      symlinkSync(join(elsewhere, "s.sh"), join(directory, "secret.sh"));
      for (const [section, key] of [
        ["run", "data"],
        ["run", "deployments"],
        ["market", "start"],
        ["market", "sshKey"],
        ["market", "machines"],
      ])
        await expect(read(`${section}:\n  ${key}: ${name}\n`)).rejects.toMatchObject({
          code: "RUN_FILE",
          message: expect.stringContaining(`run.yaml, line 2: ${key} must be a file in the directory of this one`),
        });
    },
  );

  test("more than 64 KiB", async () => {
    await expect(read(`# ${"x".repeat(64 << 10)}\n`)).rejects.toMatchObject({ code: "FILE_TOO_LARGE" });
  });
});

describe("commands", () => {
  let rental: RentalServer;
  beforeEach(async () => {
    rental = await rentalServer(() =>
      ["m1", "m2"].map((id) => ({ id, gpu: "RTX 4090", gpus: 1, usd_per_hour: "1.2" })),
    );
  });
  const at = () => [
    `--cache=${join(directory, "cache")}`,
    `--keys=${join(directory, "keys")}`,
    `--endpoint=fake=${rental.server.url}`,
  ];
  const rent = (...more: readonly string[]) =>
    cotrainHere(["market", "rent", ...at(), `--leases=${join(directory, "leases")}`, ...more]);
  /** What is planned, but for its name. */
  const planned = async (...more: readonly string[]): Promise<unknown> => {
    const { id: _, ...rest } = JSON.parse(
      (await cotrainHere(["market", "plan", ...at(), "--json", ...more])).stdout,
    ) as Record<string, unknown>;
    return rest;
  };
  const fit = "run:\n  preset: 0.1m\nmarket:\n  provider: [fake]\n  budget: 5\n  maxPrice: 1.5\n";

  test("a plan is what its flags would make; a flag comes before the file, the variable names one too", async () => {
    const path = written(`${fit}  deadline: 2h\n  hubLink: 10000\n`);
    const flags = [
      "--preset=0.1m",
      "--provider=fake",
      "--budget=5",
      "--max-price=1.5",
      "--deadline=2h",
      "--hub-link=10000",
    ];
    const byFile = await planned(`--file=${path}`);
    expect(byFile).toEqual(await planned(...flags));
    expect(await planned("-f", path, "--budget=4")).toEqual(await planned(...flags, "--budget=4"));
    expect(await planned("-f", path, "--budget=4")).not.toEqual(byFile);
    vi.stubEnv("COTRAIN_FILE", path);
    expect(await planned()).toEqual(byFile);
    expect(verdictOf(await cotrainHere(["market", "plan", "--config=x.json"]))).toEqual(
      refusal(1, "--file and --config exclude each other: give one of them."),
    );
  });

  test("renting takes what fits, or makes a plan where the file says which is best; it spends by its own line alone", async () => {
    const shown = await rent("-f", written(`${fit}  count: 2\n`));
    expect(shown.stdout.match(/first choice/g)).toHaveLength(2);
    expect(shown.stdout).toContain("Nothing was rented: that takes --yes.");
    const planned = await rent("-f", written(`${fit}  deadline: 2h\n  hubLink: 10000\n  mode: price\n`));
    expect(planned.stderr).toMatch(/^Plan p[0-9a-f]{16}, by .*run\.yaml: \d machines?\.$/m);
    expect(planned.stdout).toContain("Nothing was rented: that takes --yes.");
    expect(verdictOf(await rent("-f", written(`${fit}  deadline: 2h\n  vram: 80\n`)))).toEqual(
      refusal(1, /^There is no plan by .*run\.yaml that can be rented: /),
    );
    expect(rental.machines).toEqual([]);
  });

  test("whoever is asked sees what machines do, and for whom", async () => {
    const image = `base@sha256:${"a".repeat(64)}`;
    const beneficiary = `0x${"10".repeat(20)}`;
    const work = `  image: ${image}\n  coordinator: https://train.example.org\n  beneficiary: "${beneficiary}"\n`;
    const path = written(fit + work);
    expect((await rent("-f", path)).stdout.replaceAll(/\s+/g, " ")).toContain(
      `Machines do: image ${image}, start of the coordinator's software, coordinator https://train.example.org, beneficiary ${beneficiary}, SSH key that is let in none. Nothing was rented`,
    );
    expect(JSON.parse((await rent("-f", path, "--json")).stdout)).toMatchObject({
      work: { image, start: null, coordinator: "https://train.example.org", beneficiary, sshKey: null, machines: null },
    });
    const script = await rent("-f", written(`${fit}  image: ${image}\n  start: s.sh\n`));
    expect(script.stdout.replaceAll(/\s+/g, "")).toContain(`start${join(directory, "s.sh")},coordinatornone`);
    const entered = await rent("-f", written(`${fit}${work}  sshKey: his.pub\n`));
    expect(entered.stdout.replaceAll(/\s+/g, "")).toContain(`SSHkeythatisletin${join(directory, "his.pub")}.`);
    // Their names say nothing of where they are.
    writeFileSync(join(directory, "his.json"), JSON.stringify({ machines: [] }));
    const own = await rent("-f", written(`${fit}${work}  machines: his.json\n`));
    expect(own.stdout.replaceAll(/\s+/g, "")).toContain(`ownmachinesof${join(directory, "his.json")},reachedby`);
  });
});
