/** A model's CAR from a stranger: whatever its programs and its tokenizer hold, `checkpoint import` refuses it and leaves nothing. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { beforeAll, describe, expect, test } from "vitest";

import { loadTokenizer } from "../../offchain/src/data/node/index.ts";
import { exportModel, type ProgramRole } from "../../offchain/src/storage/index.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "../offchain/cli/support.ts";
import { collect, storedModel, temporaryStore } from "../offchain/storage/fixtures.ts";
import { goodPrograms, hostilePrograms } from "./hostileCorpus.ts";

const { step, eval: evaluation, logits } = goodPrograms;
const good = { step: step.bytes, eval: evaluation.bytes, logits: logits.bytes };

let honest: Uint8Array;
beforeAll(async () => {
  honest = (await loadTokenizer()).bytes;
});

/** Imports a model with these programs, and with this tokenizer, into a directory that is not there. */
async function imported(programs: Partial<Record<ProgramRole, Uint8Array>>, tokenizer = honest) {
  const directory = temporaryDirectory();
  const file = join(directory, "model.car");
  const state = join(directory, "state");
  const { store } = await temporaryStore();
  const model = await storedModel(store, {}, { ...good, ...programs }, tokenizer);
  writeFileSync(file, Buffer.concat(await collect(exportModel(store, model))));
  const ended = await cotrainHere(["checkpoint", "import", file, "--state", state]);
  return { verdict: verdictOf(ended), code: ended.code, left: existsSync(state) };
}

describe("a model with a hostile program", () => {
  // One that is too long is refused already by the bundle that names its length (test/offchain/storage/model.test.ts).
  test.each(hostilePrograms("/canary").filter(({ bytes }) => bytes.length <= 64 << 20))(
    "$name",
    async ({ bytes, why }) => {
      expect(await imported({ step: bytes })).toEqual({ verdict: refusal(1, why), code: 1, left: false });
    },
  );

  test("of another role than it stands for", async () => {
    const { verdict, left } = await imported({ eval: good.logits });
    expect(verdict).toEqual(refusal(1, /a program for logits where the one for eval is due/));
    expect(left).toBe(false);
  });

  test("is refused for its program alone: with good ones it is taken", async () => {
    expect(await imported({})).toMatchObject({ code: 0, left: true });
  });
});

test("a model whose tokenizer has a decoder that never ends is refused", async () => {
  const { decoder, ...rest } = JSON.parse(Buffer.from(honest).toString("utf8"));
  const endless = { type: "Replace", pattern: { Regex: "^(.|.)*\\u0001" }, content: "" };
  const hostile = { ...rest, decoder: { type: "Sequence", decoders: [decoder, endless] } };
  expect(await imported({}, new TextEncoder().encode(JSON.stringify(hostile)))).toEqual({
    verdict: refusal(1, /The tokenizer is not one that can be used here/),
    code: 1,
    left: false,
  });
});
