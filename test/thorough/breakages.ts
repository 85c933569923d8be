/**
 * Defences taken out one at a time, as text: in a copy of the tree `text`, which stands once in `file`, becomes `instead`, and
 * at least one test of `tests` must fail. Whoever builds a defence adds its row; `test/thorough/thorough.test.ts` keeps the
 * rows true to the sources.
 */
export interface Breakage {
  readonly name: string;
  readonly file: string;
  readonly text: string;
  readonly instead: string;
  /** Each of these must fail. */
  readonly tests: readonly string[];
}

export const breakages: readonly Breakage[] = [
  {
    name: "receipts are not held against the root that their head names",
    file: "offchain/src/chain/evidence.ts",
    text: "require(receiptsRoot(leaves) === head.receiptsRoot,",
    instead: "require(receiptsRoot(leaves) !== null,",
    tests: ["test/offchain/chain/evidence.test.ts"],
  },
  {
    name: "a receipt under two heads is paid twice",
    file: "offchain/src/chain/epoch.ts",
    text: "if (seen.has(receiptHash))",
    instead: "if (seen.has(receiptHash) && seen.size === 0)",
    tests: ["test/offchain/chain/epoch.test.ts"],
  },
  {
    name: "a validator always draws fragment 0",
    file: "offchain/src/validator/runValidator.ts",
    text: "drawnFragment(lotSeed(hash, head.head, validator), of.fragments)",
    instead: "drawnFragment(lotSeed(hash, head.head, validator), 1)",
    tests: ["test/offchain/validator/validator.test.ts"],
  },
  {
    name: "a machine whose arithmetic differs is put into the organiser's class",
    file: "offchain/src/coordinator/joins.ts",
    text: "join.conformance === realisation.conformance ?",
    instead: "join.conformance !== zeroHash ?",
    tests: ["test/offchain/coordinator/classes.test.ts"],
  },
  {
    name: "rows of the log need not follow the one before",
    file: "offchain/src/service/eventLog.ts",
    text: "if (row.previous_hash !== hash) throw",
    instead: "if (row.previous_hash !== hash && row.seq === 0) throw",
    tests: ["test/offchain/service/eventLog.test.ts"],
  },
  {
    name: "what holders decided is applied inside an open round",
    file: "offchain/src/coordinator/machine/machine.ts",
    text: "      draft.nextParams = { version: event.version, params: { ...event.params } };\n",
    instead:
      "      draft.nextParams = { version: event.version, params: { ...event.params } };\n      if (draft.current) Object.assign(draft.current, { paramsVersion: event.version, params: { ...event.params } });\n",
    tests: ["test/offchain/coordinator/rounds.test.ts"],
  },
  {
    name: "the embedded chain listens on all interfaces",
    file: "offchain/src/chain/anvil.ts",
    text: "const host = options.host ?? LOOPBACK;",
    instead: 'const host = options.host ?? "0.0.0.0";',
    tests: ["test/offchain/chain/embedded.test.ts"],
  },
  {
    name: "the journal forgets after a restart what it sent",
    file: "offchain/src/chain/journal.ts",
    text: "let progress = asProgress(job.progress);",
    instead: "let progress = asProgress(job.progress && undefined);",
    tests: ["test/offchain/chain/posting.test.ts"],
  },
  {
    name: "a posting whose nonce is not due yet holds up what the chain lost before it",
    file: "offchain/src/chain/journal.ts",
    text: "          await kind.prepare(payload);\n          return context.later(poll);\n",
    instead: "          await clock.sleep(poll, context.signal);\n          continue;\n",
    tests: ["test/offchain/chain/posting.test.ts"],
  },
];
