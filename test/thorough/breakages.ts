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
    file: "offchain/src/chain/lot.ts",
    text: "drawnFragment(lotSeed(hash, head, validator), fragments)",
    instead: "drawnFragment(lotSeed(hash, head, validator), 1)",
    tests: ["test/offchain/validator/validator.test.ts"],
  },
  {
    name: "a validator takes a gate's losses as they stand",
    file: "offchain/src/validator/runValidator.ts",
    text: "return audited && !audited.holds ? audited : finding;",
    instead: "return audited && audited.holds ? audited : finding;",
    tests: ["test/offchain/validator/auditRun.test.ts"],
  },
  {
    name: "a gate measures what sequences it likes",
    file: "offchain/src/chain/screening.ts",
    text: "due.join() === gate.sequences.join()",
    instead: "due.length > 0",
    tests: ["test/offchain/chain/settlement.test.ts"],
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
    file: "offchain/src/chain/chainDoor.ts",
    text: "server.listen({ port: candidate, host: LOOPBACK }, () => {",
    instead: 'server.listen({ port: candidate, host: "0.0.0.0" }, () => {',
    tests: ["test/attack/webPages.test.ts"],
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
  {
    name: "the journal sends before it has written down what it sends",
    file: "offchain/src/chain/journal.ts",
    text: "    await context.note(progress);\n    await broadcast(raw);\n",
    instead: "    await broadcast(raw);\n    await context.note(progress);\n",
    tests: ["test/offchain/chain/posting.test.ts"],
  },
  {
    name: "a validator signs a second value for one key",
    file: "offchain/src/validator/statements.ts",
    text: "if (written.value !== value)",
    instead: "if (written.value !== value && before === null)",
    tests: ["test/offchain/validator/validator.test.ts"],
  },
  {
    name: "a validator finds every aggregate right",
    file: "offchain/src/validator/aggregate.ts",
    text: "if (sameShard(published, recomputed)) return",
    instead: "if (sameShard(published, published)) return",
    tests: ["test/offchain/validator/validator.test.ts"],
  },
  {
    name: "a row of the log may say something else than its hash",
    file: "offchain/src/service/eventLog.ts",
    text: "if (hashRow(row) !== row.hash) throw",
    instead: 'if (hashRow(row) === "") throw',
    tests: ["test/offchain/service/eventLog.test.ts"],
  },
  {
    name: "receipts of a head need not be signed by their workers",
    file: "offchain/src/chain/evidence.ts",
    text: 'require((await recoverSigner(domain, "Receipt", receipt, entry.signature)) ===\n      worker,',
    instead: 'require((await recoverSigner(domain, "Receipt", receipt, entry.signature)) !==\n      "0x",',
    tests: ["test/offchain/chain/evidence.test.ts"],
  },
  {
    name: "acknowledgements of a head need not be signed by a poster",
    file: "offchain/src/chain/evidence.ts",
    text: "require(posters.has(",
    instead: "require(posters.has([...posters][0]!) || posters.has(",
    tests: ["test/offchain/chain/evidence.test.ts"],
  },
  {
    name: "one worker may have two receipts under a head",
    file: "offchain/src/chain/evidence.ts",
    text: "require(worker > previous,",
    instead: "require(worker >= previous,",
    tests: ["test/offchain/chain/evidence.test.ts"],
  },
  {
    name: "the coordinator takes receipts that their worker did not sign",
    file: "offchain/src/coordinator/receipts.ts",
    text: "  if (signer === worker) return;\n",
    instead: "  if (signer !== undefined) return;\n",
    tests: ["test/offchain/coordinator/refusals.test.ts"],
  },
  {
    name: "a receipt may pay another wallet than its worker joined for",
    file: "offchain/src/coordinator/receipts.ts",
    text: "if (member.beneficiary !== receipt.beneficiary) {",
    instead: 'if (member.beneficiary === "0x") {',
    tests: ["test/offchain/coordinator/refusals.test.ts"],
  },
  {
    name: "a blob is stored under another digest than it has",
    file: "offchain/src/storage/fileStore.ts",
    text: "if (expected.digest !== undefined && expected.digest !== digest) throw",
    instead: "if (expected.digest === null && expected.digest !== digest) throw",
    tests: ["test/offchain/storage/blobStore.test.ts"],
  },
  {
    name: "verify believes the head of an event without its fields",
    file: "offchain/src/chain/verify.ts",
    text: "if (recomputed !== head.head)",
    instead: "if (recomputed === null)",
    tests: ["test/offchain/chain/settlement.test.ts"],
  },
  {
    name: "programs may use operators that no row of the table allows",
    file: "offchain/src/engine/inspect/inspect.ts",
    text: "const row = inspection.operators.get(op);",
    instead: 'const row = inspection.operators.get(op) ?? inspection.operators.get("Identity");',
    tests: ["test/attack/hostilePrograms.test.ts"],
  },
  {
    name: "writing does not pause while the disk is full",
    file: "offchain/src/service/diskGate.ts",
    text: 'if (waiting) throw new RetryableError("DISK_FULL", sentence);',
    instead: 'if (waiting && pauses < 0) throw new RetryableError("DISK_FULL", sentence);',
    tests: ["test/offchain/service/diskGate.test.ts"],
  },
  {
    name: "a second rollback hides why the first was needed",
    file: "offchain/src/service/database.ts",
    text: 'if (text === "rollback" && !connection.inTransaction) return',
    instead: 'if (text === "rollback" && text === undefined) return',
    tests: ["test/offchain/service/diskGate.test.ts"],
  },
  {
    name: "one message may fill the log",
    file: "offchain/src/service/logging.ts",
    text: "if (held === undefined) return;",
    instead: "if (held === undefined) return method.apply(this, args);",
    tests: ["test/offchain/service/logging.test.ts"],
  },
  {
    name: "who misses deadline after deadline is never benched",
    file: "offchain/src/coordinator/machine/dealing.ts",
    text: "if (member.misses >= BENCH_FROM) member.benchedUntil = at + times * roundDeadline;",
    instead: "if (member.misses < 0) member.benchedUntil = at + times * roundDeadline;",
    tests: ["test/offchain/coordinator/liveness.test.ts"],
  },
  {
    name: "the run's time follows the machine's wall clock",
    file: "offchain/src/coordinator/runClock.ts",
    text: "const now = (): number => base + Math.floor(clock.monotonic() - since);",
    instead: "const now = (): number => (since === -1 ? base : clock.now());",
    tests: ["test/attack/clocks.test.ts"],
  },
  {
    name: "whoever asks first gets a place, also before those in line",
    file: "offchain/src/coordinator/line.ts",
    text: "      if (before < places) {",
    instead: "      if (places > 0) {",
    tests: ["test/offchain/coordinator/liveness.test.ts"],
  },
  {
    name: "the acknowledgement of an accepted receipt is not asked for again",
    file: "offchain/src/worker/settling.ts",
    text: "  for (const row of await evidence.unanswered(context.runId)) {",
    instead: "  for (const row of (await evidence.unanswered(context.runId)).slice(64)) {",
    tests: ["test/offchain/worker/runWorker.test.ts"],
  },
  {
    name: "work that is given again keeps its attempt",
    file: "offchain/src/data/ledger.ts",
    text: "attempt: old.attempt + 1, worker",
    instead: "attempt: old.attempt, worker",
    tests: ["test/offchain/data/ledger.test.ts"],
  },
  {
    name: "a deadline gives up on nobody",
    file: "offchain/src/coordinator/machine/dealing.ts",
    text: "if (!sending || round.graced) return giveUpOutstanding(draft, round, at, reports);",
    instead: "if (!sending || round.graced) return;",
    tests: ["test/offchain/coordinator/liveness.test.ts"],
  },
];
