/** One compiler makes all that is deployed, and everybody's makes the interfaces. */
import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import config, { compiler, recentCompilers } from "../../hardhat.config.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const { profiles } = config.solidity as { profiles: Record<string, { version: string }> };
const pragmaOf = (file: string): string | undefined =>
  /^pragma solidity (.+);$/m.exec(readFileSync(`${root}${file}`, "utf8"))?.[1];
const read = (file: string): unknown => JSON.parse(readFileSync(`${root}${file}`, "utf8"));
const files = globSync("contracts/**/*.sol", { cwd: root });
const [interfaces, deployed] = [true, false].map((wanted) =>
  files.filter((file) => file.startsWith("contracts/interfaces/") === wanted),
);

describe("the compiler", () => {
  it("is one in every profile", () => {
    expect(new Set(Object.values(profiles).map(({ version }) => version))).toEqual(new Set([compiler]));
  });

  it("is the one that npm installs", () => {
    expect(read("package.json")).toMatchObject({ devDependencies: { solc: compiler } });
    expect(read("node_modules/solc/package.json")).toMatchObject({ version: compiler });
    expect(read(".solhint.json")).toMatchObject({ rules: { "compiler-version": ["error", recentCompilers] } });
  });

  it.each(deployed!)("of %s is the build's and no other", (file) => {
    expect(pragmaOf(file)).toBe(compiler);
  });

  it.each(interfaces!)("of %s may be any recent one, so that other contracts can import it", (file) => {
    expect(pragmaOf(file)).toBe(recentCompilers);
  });
});
