import { systemClock, UserError } from "../../base/index.ts";
import { typedPath } from "../../base/node/index.ts";
import { createWatchdog, readSign, signFileOf, writeSign } from "../../market/index.ts";
import { channelOnStderr, createLogger, duration, runDaemon } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { accountsOption, keepingOptions, rentersHere } from "../leases.ts";

/** `cotrain market watchdog`. */
export const marketWatchdogCommand = defineCommand({
  name: "market watchdog",
  summary: "a second process that ends all machines when nobody keeps the leases any more",
  options: {
    ...keepingOptions,
    provider: accountsOption,
    patience: duration({ description: "time without a sign of life of who keeps the leases", default: 180_000 }),
  },
  examples: [["npx cotrain market watchdog --leases /mnt/shared/leases", "best on another machine"]],
  notes: [
    "It has the providers' keys and the directory in which who keeps the leases leaves a sign of life; it ends machines with that installation's labels and does nothing else. Another machine shares the directory.",
    "Its own sign is what lets machines be rented whose bill nothing else ends; it leaves none before all accounts have answered it.",
  ],
  run({ options, output }) {
    const { leases: directory, every, patience } = options;
    return runDaemon(
      async ({ signal }) => {
        const sign = readSign(signFileOf(directory, "keeper"));
        const first = await sign();
        if (first === undefined)
          throw new UserError(
            "LEASES_NONE",
            `Nobody has kept leases in ${typedPath(directory)} yet: there is no sign of life to watch.`,
          );
        const { installation } = first;
        const { accounts } = await rentersHere(options, signal);
        for (const account of accounts) await account.list();
        const look = createWatchdog({
          installation,
          accounts,
          clock: systemClock,
          sign,
          patience,
          onFault: (sentence) => output.notice(sentence),
        });
        output.notice(`Watching ${accounts.map(({ title }) => title).join(", ")} for installation ${installation}.`);
        for (;;) {
          signal.throwIfAborted();
          const { alone, ended, unseen } = await look();
          for (const { account, label } of ended)
            output.notice(`Nobody keeps the leases: ${label} at ${account} was told to end.`);
          if (!alone || unseen.length === 0)
            await writeSign(signFileOf(directory, "watchdog"), { installation, count: systemClock.now() });
          await systemClock.sleep(every, signal);
        }
      },
      {
        name: "cotrain market watchdog",
        logger: createLogger({ component: "market", level: "warn" }),
        report: output.complain,
        channel: channelOnStderr(),
      },
    );
  },
});
