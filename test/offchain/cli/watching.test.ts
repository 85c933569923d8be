/** What a watcher says of a dispute that it settled. */
import { expect, test } from "vitest";

import type { Output } from "../../../offchain/src/cli/output.ts";
import { createTelling } from "../../../offchain/src/cli/watching.ts";

test("of a root that was voided it says where whoever signed it is brought to account, and of no other", async () => {
  const said: string[] = [];
  const output: Output = {
    json: false,
    result: (_, lines) => void said.push(...lines),
    text: () => undefined,
    notice: () => undefined,
    complain: () => undefined,
    paint: (_, text) => text,
  };
  for (const ruling of ["void", "stands", "undecided"]) {
    const telling = createTelling(output, () => "");
    const digest = `0x${"11".repeat(32)}` as const;
    const none = {
      root: async () => ({ state: "idle" }) as const,
      cost: async () => ({ bond: 1n, level: 0, isDue: false }),
    };
    await telling.look(
      { compute: { ...none, root: async () => ({ state: "settled", digest, ruling }) as const }, revenue: none },
      async () => ({ looked: 0, findings: [], problems: [], falseRoots: [], away: undefined }),
      async () => ({ acts: [], more: 0 }),
      async () => [],
    );
  }
  expect(said).toHaveLength(3);
  const [voided, ...others] = said;
  expect(voided).toContain(
    'settled here: void. What that costs who signed it says "npx cotrain stake slash --dry-run".',
  );
  for (const other of others) expect(other).not.toContain("slash");
});
