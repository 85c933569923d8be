/** One compiler makes all that is deployed, and everybody's makes the interfaces. */
import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import config from "../../hardhat.config.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const { profiles } = config.solidity as { profiles: Record<string, { version: string }> };
const versions = Object.values(profiles).map(({ version }) => version);
const pragmaOf = (file: string): string | undefined =>
  /^pragma solidity (.+);$/m.exec(readFileSync(`${root}${file}`, "utf8"))?.[1];
const files = globSync("contracts/**/*.sol", { cwd: root });
const [interfaces, deployed] = [true, false].map((wanted) =>
  files.filter((file) => file.startsWith("contracts/interfaces/") === wanted),
);

describe("the compiler", () => {
  it("is one in every profile", () => {
    expect(new Set(versions).size).toBe(1);
  });

  it.each(deployed!)("of %s is the build's and no other", (file) => {
    expect(pragmaOf(file)).toBe(versions[0]);
  });

  it.each(interfaces!)("of %s may be any recent one, so that other contracts can import it", (file) => {
    expect(pragmaOf(file)).toBe("^0.8.30");
  });
});
