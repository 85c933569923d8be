/** Who distributes in another's place: by the namings alone, whatever came of them. */
import { asAddress } from "@cotrain/sdk/protocol";
import { expect, test } from "vitest";

import { type Naming, successorsOf, takenOver } from "../../../offchain/src/run/index.ts";

const [a, b, c] = ["a1", "b2", "c3"].map((byte) => asAddress(`0x${byte.repeat(20)}`)) as [Hex, Hex, Hex];
type Hex = ReturnType<typeof asAddress>;
const naming = (present: Hex, successor: Hex, from: number, kind = 2): Naming => ({ kind, present, successor, from });

test("each that took over did from the time that was named for it", () => {
  expect(takenOver([])).toEqual([]);
  expect(takenOver([naming(a, b, 100), naming(b, c, 300)])).toEqual([
    { account: b, from: 100 },
    { account: c, from: 300 },
  ]);
});

test("who was taken back, or replaced before its time, never did", () => {
  expect(takenOver([naming(a, b, 100), naming(a, a, 50)])).toEqual([]);
  expect(takenOver([naming(a, b, 100), naming(a, c, 150)])).toEqual([{ account: c, from: 150 }]);
  // The present one stays, and is none that took over, before its own successor does.
  expect(takenOver([naming(a, a, 50), naming(a, b, 200)])).toEqual([{ account: b, from: 200 }]);
});

test("kinds do not follow from each other", () => {
  expect(takenOver([naming(a, b, 100, 1), naming(c, b, 120, 3), naming(b, a, 300, 1)])).toEqual([
    { account: b, from: 100 },
    { account: a, from: 300 },
    { account: b, from: 120 },
  ]);
});

test("a naming that follows from none before it shows that some are missing", () => {
  expect(() => takenOver([naming(a, b, 100), naming(c, a, 300)])).toThrow("leaves out events");
});

/** What is read of a node that answers with what is named now, and with these events. */
function readingOf(named: object | undefined, args: readonly object[]) {
  const answers: unknown[] = [[undefined, named, undefined, undefined], { logs: args.map((each) => ({ args: each })) }];
  const connection = { call: () => Promise.resolve(answers.shift()) };
  return successorsOf({ connection, fromBlock: 1 } as unknown as Parameters<typeof successorsOf>[0]);
}

test("a node that leaves out the naming that the contract has is noticed", async () => {
  const told = naming(a, b, 100);
  expect(await readingOf(undefined, [])).toEqual([]);
  expect(await readingOf({ successor: b, from: 100 }, [told])).toEqual([{ account: b, from: 100 }]);
  // One that came while events were read is told, and not yet named.
  expect(await readingOf(undefined, [told])).toEqual([{ account: b, from: 100 }]);
  await expect(readingOf({ successor: b, from: 100 }, [])).rejects.toMatchObject({ code: "CHAIN_RPC" });
  await expect(readingOf({ successor: b, from: 200 }, [told])).rejects.toMatchObject({ code: "CHAIN_RPC" });
});
