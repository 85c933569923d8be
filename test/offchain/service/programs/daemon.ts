/** A daemon of each kind that the tests of lifecycle and supervisor need. */
import { appendFileSync } from "node:fs";

import { RetryableError, UserError } from "../../../../offchain/src/base/index.ts";
import { createLogger } from "../../../../offchain/src/service/processes/logging.ts";
import { runDaemon } from "../../../../offchain/src/service/processes/lifecycle.ts";

const [kind = "serve", journal] = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const say = (text: string): void => {
  if (journal) appendFileSync(journal, `${text}\n`);
  else process.stdout.write(`${text}\n`);
};

const channel = (["log", "sentence"] as const).find((each) => process.argv.includes(`--channel=${each}`));
const logged = { write: (line: string) => say(`logged: ${(JSON.parse(line) as { msg: string }).msg}`) };

await runDaemon(
  async ({ signal, ready, onShutdown }) => {
    onShutdown("first", () => say("closed first"));
    onShutdown("second", () => say("closed second"));
    switch (kind) {
      case "user-error":
        throw new UserError("PRESET_UNKNOWN", "There is no preset huge.");
      case "hostile-words":
        throw new UserError("WORDS", "It said \u001b]0;owned\u0007.");
      case "retryable":
        throw new RetryableError("RPC_DOWN", "The RPC is away.");
      case "defect":
        throw new TypeError("x is not a function");
      case "unhandled":
        void Promise.reject(new TypeError("nobody caught me"));
        break;
      case "code":
        return 3;
    }
    say(`started ${process.pid}`);
    ready({ port: 1_234 });
    const alive = setInterval(() => undefined, 1_000);
    await new Promise((resolve) => {
      signal.addEventListener("abort", kind === "stubborn" ? () => say("told to stop") : resolve);
    });
    clearInterval(alive);
    if (kind === "rejects") throw signal.reason;
    return undefined;
  },
  {
    name: "test daemon",
    logger: channel
      ? createLogger({
          component: "test",
          level: channel === "sentence" ? "info" : "error",
          pretty: false,
          destination: logged,
        })
      : createLogger({ component: "test", level: "silent" }),
    ...(channel && { channel }),
    // None ends by its deadline but where a test says so.
    shutdownDeadline: process.argv.includes("--hasty") ? 300 : 120_000,
    ...(process.argv.includes("--stdin") && { orphanGuard: "stdin" as const }),
  },
);
