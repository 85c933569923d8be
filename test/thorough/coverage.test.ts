/** That the part that counts coverage judges what it is told. */
import { describe, expect, it } from "vitest";

import { judge as judgeCoverage, read } from "./coverage.ts";

const report = (branches: string): string =>
  `TN:\nSF:contracts/A.sol\nDA:3,7\nDA:4,0\n${branches}end_of_record\nSF:contracts/B.sol\nDA:1,1\nend_of_record\n`;
const of = (found: number, missed: number) => ({ found, missed: Array.from({ length: missed }, () => "a:1") });

describe("coverage", () => {
  it("counts lines and branches, and names those that no test comes to", () => {
    expect(read(report("BRDA:3,0,0,1\nBRDA:3,0,1,-\nBRDA:4,1,0,0\n"))).toEqual({
      lines: { found: 3, missed: ["contracts/A.sol:4"] },
      branches: { found: 3, missed: ["contracts/A.sol:3", "contracts/A.sol:4"] },
    });
  });

  it("is too little below either bound, and where nothing was counted", () => {
    expect(judgeCoverage({ lines: of(100, 2), branches: of(100, 5) }).problem).toBeUndefined();
    expect(judgeCoverage({ lines: of(100, 3), branches: of(100, 5) }).problem).toBe("97.00% of lines, less than 98%");
    expect(judgeCoverage({ lines: of(100, 2), branches: of(100, 6) }).problem).toMatch(/^94\.00% of branches/);
    expect(judgeCoverage(read("")).problem).toMatch(/^0\.00% of lines.*; 0\.00% of branches/);
  });
});
