/** That docs/holders.md names the settings that models begin with as they are. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

import { formatEther } from "viem";
import { describe, expect, it } from "vitest";

import { commandNames, loadCommands } from "../../offchain/src/cli/commands/index.ts";
import { type Profile, profileFor } from "../../deploy/profiles.ts";

/** What commands need beside the arguments that may never be left out, to do what the page says. */
const needed: Readonly<Record<string, readonly string[]>> = {
  delegate: [],
  vote: [],
  "treasury pay": ["--to", "--amount", "--token"],
};

const page = readFileSync("docs/holders.md", "utf8");
const DAY = 86_400;

const time = (seconds: number): string => {
  if (seconds % DAY !== 0) return `${seconds} s`;
  return seconds === DAY ? "1 day" : `${seconds / DAY} days`;
};
const count = (wei: bigint): string => Number(formatEther(wei)).toLocaleString("en-US");
const shares = (wei: bigint): string => {
  if (wei === 0n) return "none";
  return `${count(wei)} ${wei === 10n ** 18n ? "share" : "shares"}`;
};

const settings: Readonly<Record<string, (model: Profile["model"]) => string>> = {
  epoch: ({ epochLength }) => time(epochLength),
  "shares an epoch": ({ epochBudget }) => count(epochBudget),
  "for compute, code, capital, treasury": ({ bps }) => bps.map((part) => `${part / 100}%`).join(", "),
  "founders' shares": ({ founders }) => shares(founders.list.reduce((sum, { amount }) => sum + amount, 0n)),
  "window of a root": ({ window }) => time(window),
  "voting delay": ({ governor }) => time(governor.votingDelay),
  "voting period": ({ governor }) => time(governor.votingPeriod),
  "late-quorum extension": ({ governor }) => time(governor.lateQuorumExtension),
  "timelock's delay": ({ governor }) => time(governor.timelockDelay),
  quorum: ({ governor }) => `${governor.quorumBps / 100}% of the supply, ${shares(governor.quorumFloor)} at the least`,
  "proposal threshold": ({ governor }) => shares(governor.proposalThreshold),
  "bond of a dispute": ({ disputeBond }) => `${count(disputeBond)} coins`,
  "bootstrap ends at": ({ bootstrapShares, bootstrapEpochs: epochs }) =>
    `${shares(bootstrapShares)} claimed and ${epochs} ${epochs === 1 ? "epoch" : "epochs"}`,
};

describe("the page for holders", () => {
  const [local, open] = [profileFor("local", 31_337).model, profileFor("public", 31_337).model];
  it.each(Object.entries(settings))("says what a model begins with: %s", (name, told) => {
    expect(page).toContain(`\n| ${name} | ${told(local)} | ${told(open)} | `);
  });

  it("has no row of a setting that is not compared", () => {
    const [, table = ""] = page.split("| setting | development chain | other chains | who can change it | why so |\n");
    const rows = [...table.matchAll(/^\| ([^|]+?) \| [^-]/gm)].map(([, name]) => name);
    expect(rows).toEqual(Object.keys(settings));
  });

  it("claims no audit, and no claim that a share would be", () => {
    expect(page).toContain("**Nobody has audited the contracts.**");
    expect(page).toContain("no claim against anybody, legal or other, and none is implied");
  });

  it("names the commands that show them", () => {
    const [, begins = ""] = page.split("## What a model begins with");
    const [sentences = ""] = begins.split("| setting |");
    const shown = [...sentences.matchAll(/`([a-z]+(?: [a-z]+)?)`/g)].map(([, command]) => command);
    for (const command of ["emission show", "code list", "proposals terms", "disputes bond", "bootstrap"])
      expect(shown).toContain(command);
  });

  it("names commands with all that they need", async () => {
    const names = commandNames.toSorted((a, b) => b.length - a.length);
    const lines = page
      .split("\n")
      .filter((line) => line.startsWith("| "))
      .flatMap((line) =>
        [...(line.split(" | ").at(-1) ?? "").matchAll(/`([a-z][^`]*)`/g)].map(([, words = ""]) => words),
      );
    const called = lines.flatMap((words) => {
      const name = names.find((each) => `${words} `.startsWith(`${each} `));
      return name === undefined ? [] : [{ name, words: words.slice(name.length).split(" ").filter(Boolean) }];
    });
    expect(called.length).toBeGreaterThan(50);
    const commands = new Map((await loadCommands()).map((command) => [command.name, command]));
    for (const { name, words } of called) {
      const line = [name, ...words].join(" ");
      // What stands for another word cannot be run.
      expect(line).not.toMatch(/\b[A-Z]+\b/);
      const args = (commands.get(name)?.args ?? []).filter(({ optional }) => !optional || needed[name] !== undefined);
      const given = words.findIndex((word) => word.startsWith("--"));
      expect([line, (given === -1 ? words : words.slice(0, given)).length]).toEqual([
        line,
        expect.toSatisfy((count: number) => count >= args.length),
      ]);
      for (const flag of needed[name] ?? []) expect([line, words]).toEqual([line, expect.arrayContaining([flag])]);
    }
  });

  it("names commands that there are", () => {
    const main = ["--conditions=cotrain-source", "offchain/src/cli/main.ts", "--help"];
    const { stdout } = spawnSync(process.execPath, main, { encoding: "utf8" });
    const [, tables = ""] = page.split("## What you own");
    const named = [...tables.matchAll(/^\|.*\|\s*((?:`[^`]+`(?:, )?)+) \|$/gm)].flatMap(([, cell = ""]) =>
      [...cell.matchAll(/`([a-z]+)/g)].map(([, command = ""]) => command),
    );
    expect(new Set(named).size).toBeGreaterThan(12);
    expect([...new Set(named)].filter((command) => !new RegExp(`^ +${command}\\b`, "m").test(stdout))).toEqual([]);
  });
});
