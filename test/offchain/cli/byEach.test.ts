/** Accounts that are paid one after the other: each is tried, and what one is refused hides no transaction of another. */
import { asAddress, type Hex } from "@cotrain/sdk/protocol";
import { expect, test } from "vitest";

import { RetryableError, UserError } from "../../../offchain/src/base/index.ts";
import { byEach } from "../../../offchain/src/cli/byEach.ts";

const payee = (name: string, digit: string) => ({ name, account: asAddress(`0x${digit.repeat(40)}`) });
const [one, two, three] = [payee("worker-1", "1"), payee("worker-2", "2"), payee("worker-3", "3")];
const hash = `0x${"ab".repeat(32)}` as const;
const other = `0x${"cd".repeat(32)}` as const;

const paying = (refused: Readonly<Record<string, Error>>, payees: readonly (typeof one)[] = [one, two, three]) => {
  const tried: string[] = [];
  const paid = byEach(
    payees,
    async ({ name }): Promise<{ readonly by: readonly (Hex | null)[] }> => {
      tried.push(name);
      if (refused[name]) throw refused[name];
      return { by: name === "worker-3" ? [null] : [hash, other] };
    },
    ({ by }) => by,
  );
  return { paid, tried };
};

test("all are paid in their order", async () => {
  const { paid, tried } = paying({});
  expect(await paid).toEqual([{ by: [hash, other] }, { by: [hash, other] }, { by: [null] }]);
  expect(tried).toEqual(["worker-1", "worker-2", "worker-3"]);
});

test("who comes after one that is refused is paid all the same, and all of it is told", async () => {
  const { paid, tried } = paying({ "worker-1": new UserError("FEE_ABOVE", "It costs more than --max-fee.") });
  await expect(paid).rejects.toMatchObject({
    code: "CLAIMS_MISSING",
    retryable: false,
    message: `Not all accounts were paid. worker-1 0x1111…1111 was not: It costs more than --max-fee; worker-2 0x2222…2222 was, in ${hash} and ${other}.`,
  });
  expect(tried).toEqual(["worker-1", "worker-2", "worker-3"]);
});

test("where each may still be paid it is tried again later", async () => {
  const away = new RetryableError("CHAIN_UNREACHABLE", "The chain is away.");
  await expect(paying({ "worker-1": away, "worker-3": away }).paid).rejects.toMatchObject({ retryable: true });
  const { paid } = paying({ "worker-1": away, "worker-3": new UserError("FEE_ABOVE", "It costs too much.") });
  await expect(paid).rejects.toMatchObject({ retryable: false });
});

test("one alone is refused in its own words, and a defect ends all at once", async () => {
  const refused = new UserError("FEE_ABOVE", "It costs too much.");
  await expect(paying({ "worker-1": refused }, [one]).paid).rejects.toBe(refused);
  const { paid, tried } = paying({ "worker-2": new TypeError("a defect") });
  await expect(paid).rejects.toThrow(TypeError);
  expect(tried).toEqual(["worker-1", "worker-2"]);
});
