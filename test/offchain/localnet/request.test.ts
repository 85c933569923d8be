/** What a start may ask for of a new run alone. */
import { asRunId, digestOfJson } from "@cotrain/sdk/protocol";
import { describe, expect, test } from "vitest";

import { checkRequest } from "../../../offchain/src/localnet/request.ts";
import type { RunFile } from "../../../offchain/src/service/index.ts";
import { temporaryDirectory } from "../cli/support.ts";

const founder = `0x${"ab".repeat(20)}`;

const contextOf = (asked: object) =>
  ({
    options: {
      device: ["auto"],
      workers: 0,
      preset: "0.1m",
      host: "127.0.0.1",
      state: temporaryDirectory(),
      keepCheckpoints: 1,
      ...asked,
    },
    config: { explicit: () => false, origins: {} },
  }) as unknown as Parameters<typeof checkRequest>[0];

/** As a start leaves it that made its chain. @param run whether it came to the run */
const fileOf = (run: boolean) =>
  ({
    chain: { chainId: 31_337, rpcUrl: "http://127.0.0.1:9", embedded: true },
    settings: { preset: "0.1m" },
    ...(run && { runId: asRunId(digestOfJson("run")) }),
  }) as unknown as RunFile;

describe("founders and a sale", () => {
  test.each([
    ["founders", [`${founder}=12`], "FOUNDERS_KEPT", "a model's founders are decided when it is created"],
    ["capital", `${founder}=0.01`, "CAPITAL_KEPT", "what a model's shares are sold for is decided when it is created"],
  ])("are asked for of a new run alone: %s", async (key, word, code, sentence) => {
    const message = expect.stringContaining(sentence) as string;
    await expect(checkRequest(contextOf({ [key]: word }), fileOf(true))).rejects.toMatchObject({ code, message });
  });

  test("are no matter of a start that names neither", async () => {
    const request = await checkRequest(contextOf({}), fileOf(true));
    expect(request).toMatchObject({ preset: "0.1m", founders: undefined, sale: undefined });
  });

  test.each([undefined, fileOf(false)])("are those of a run that there is not yet", async (file) => {
    const { founders } = await checkRequest(contextOf({ founders: [`${founder}=12`] }), file);
    expect(founders?.list).toEqual([{ account: expect.stringMatching(/^0xab/i) as string, amount: 12n * 10n ** 18n }]);
  });
});
