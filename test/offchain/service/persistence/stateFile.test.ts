/** Files that a command writes where its user says: what is somebody else's stays. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { expect, test } from "vitest";
import { Type } from "typebox";

import { requireReplaceable, writeReplaceable } from "../../../../offchain/src/service/persistence/stateFile.ts";
import { temporaryDirectory } from "../support.ts";

const Schema = Type.Object({ vote: Type.String() }, { additionalProperties: false });

test("an earlier file of the kind is replaced; another one, and what came after the look, stays", async () => {
  const file = join(await temporaryDirectory(), "vote.json");
  const look = () => requireReplaceable(file, Schema, "signed vote");
  const text = () => readFile(file, "utf8");
  await writeReplaceable(file, Schema, { vote: "first" }, await look());
  await writeReplaceable(file, Schema, { vote: "second" }, await look());
  expect(JSON.parse(await text())).toEqual({ vote: "second" });
  await expect(writeReplaceable(file, Schema, { vote: "third" }, false)).rejects.toMatchObject({ code: "FILE_EXISTS" });
  expect(JSON.parse(await text())).toEqual({ vote: "second" });
  await writeFile(file, "a letter");
  await expect(look()).rejects.toMatchObject({ code: "FILE_EXISTS" });
  expect(await text()).toBe("a letter");
});
