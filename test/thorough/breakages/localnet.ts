/** Defences of `localnet`. */
import type { Breakage } from "./breakage.ts";

export const localnet: readonly Breakage[] = [
  {
    name: "shares that somebody else claimed for an owner have no votes",
    file: "offchain/src/run/claims.ts",
    text: "if (!(await lacksVotes(client, holder))) return false;",
    instead: "if (!(await lacksVotes(client, holder)) || holder) return false;",
    tests: ["test/offchain/localnet/owners.test.ts"],
  },
  {
    name: "a session waits by the wall clock",
    file: "offchain/src/localnet/session.ts",
    text: "if (clock.monotonic() >= until) return undefined;",
    instead: "if (clock.now() >= until) return undefined;",
    tests: ["test/offchain/localnet/session.test.ts"],
  },
  {
    name: "a session trains by the wall clock",
    file: "offchain/src/localnet/session.ts",
    text: "const elapsed = clock.monotonic() - started;",
    instead: "const elapsed = clock.now() - started;",
    tests: ["test/offchain/localnet/session.test.ts"],
  },
  {
    name: "a session's owners collect by the wall clock",
    file: "offchain/src/localnet/session.ts",
    text: "if (clock.monotonic() - collected < COLLECT_EVERY_MS) return;\n      collected = clock.monotonic();",
    instead: "if (clock.now() - collected < COLLECT_EVERY_MS) return;\n      collected = clock.now();",
    tests: ["test/offchain/localnet/session.test.ts"],
  },
  {
    name: "settling takes as long as it takes",
    file: "offchain/src/localnet/session.ts",
    text: "const settled = clock.monotonic() + SETTLE_MS;",
    instead: "const settled = clock.monotonic() + 20 * SETTLE_MS;",
    tests: ["test/offchain/localnet/session.test.ts"],
  },
  {
    name: "a checkpoint is called damaged whose store is away",
    file: "offchain/src/localnet/launch.ts",
    text: "    if (!(error instanceof CotrainError) || isAway(error)) throw error;\n",
    instead: "    if (!(error instanceof CotrainError)) throw error;\n",
    tests: ["test/offchain/localnet/launch.test.ts"],
  },
  {
    name: "a worker is killed while its engine compiles",
    file: "offchain/src/localnet/processes.ts",
    text: "  readyTimeout: joiningMs(flags.device?.length ?? 1),\n",
    instead: "",
    tests: ["test/offchain/localnet/processes.test.ts"],
  },
  {
    name: "a start that asks for other inner steps than the run's goes on as if it had them",
    file: "offchain/src/localnet/request.ts",
    text: "if (isDeepStrictEqual(recipeOf(preset, wanted), recipe)) return",
    instead: "if (isDeepStrictEqual(recipeOf(preset, wanted).optimizer, recipe.optimizer)) return",
    tests: ["test/offchain/cli/badInput.test.ts"],
  },
  {
    name: "two workers share a GPU where another has one",
    file: "offchain/src/localnet/devices.ts",
    text: "gpusAmong(named).size > 1 ? named.length :",
    instead: "gpusAmong(named).size > 99 ? named.length :",
    tests: ["test/offchain/localnet/devices.test.ts"],
  },
  {
    name: "a start makes ready for minutes before it looks for its GPU",
    file: "offchain/src/localnet/request.ts",
    text: "for (const device of named) await requireDevice([device]);",
    instead: "",
    tests: ["test/offchain/cli/badInput.test.ts"],
  },
];
