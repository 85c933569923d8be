/** The committed tokenizer from its file. */
import { fileURLToPath } from "node:url";

import { readFileBounded } from "../../base/node/index.ts";
import { MAX_TOKENIZER_BYTES } from "@cotrain/sdk/protocol";
import { parseTokenizer, type Tokenizer } from "../tokenizer.ts";

/** The committed tokenizer: byte-level BPE of 1,024 tokens, trained on Brown's training split. */
export async function loadTokenizer(): Promise<Tokenizer> {
  const path = fileURLToPath(new URL("../tokenizer.json", import.meta.url));
  return parseTokenizer(await readFileBounded(path, MAX_TOKENIZER_BYTES));
}
