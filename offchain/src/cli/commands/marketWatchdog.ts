import { systemClock, UserError } from "../../base/index.ts";
import { typedPath } from "../../base/node/index.ts";
import { createWatchdog, listSeen, type Notice, readSign, signFileOf, writeSign } from "../../market/index.ts";
import { channelOnStderr, createLogger, duration, runDaemon } from "../../service/index.ts";
import { type CommandContext, defineCommand } from "../command.ts";
import { accountsOption, keepingOptions, rentersHere, withWebhook } from "../leases.ts";
import { endAllPasses } from "../meeting.ts";

const watchdogOptions = {
  ...keepingOptions,
  provider: accountsOption,
  patience: duration({ description: "time without a sign of life of who keeps the leases", default: 180_000 }),
} as const;

/** Looks until the signal. */
async function watch(
  { options, output }: Pick<CommandContext<typeof watchdogOptions>, "options" | "output">,
  signal: AbortSignal,
  tell: (notice: Omit<Notice, "at">) => void,
): Promise<never> {
  const { leases: directory, every, patience } = options;
  const sign = readSign(signFileOf(directory, "keeper"));
  const first = await sign();
  if (first === undefined)
    throw new UserError(
      "LEASES_NONE",
      `Nobody has kept leases in ${typedPath(directory)} yet: there is no sign of life to watch.`,
    );
  const { installation } = first;
  const { accounts } = await rentersHere(options, signal);
  for (const account of accounts) await listSeen(account);
  const look = createWatchdog({
    installation,
    accounts,
    clock: systemClock,
    sign,
    patience,
    onFault: (sentence) => output.notice(sentence),
  });
  output.notice(`Watching ${accounts.map(({ title }) => title).join(", ")} for installation ${installation}.`);
  const told = new Set<string>();
  for (;;) {
    signal.throwIfAborted();
    const { alone, ended, unseen } = await look();
    for (const { account, label } of ended) {
      const sentence = `Nobody keeps the leases: ${label} at ${account} was told to end.`;
      output.notice(sentence);
      // Those whose end is under way are asked again; a webhook is told once.
      if (!told.has(label)) tell({ what: "watchdog", cluster: null, label, sentence });
      told.add(label);
    }
    if (alone) await endAllPasses(directory, (sentence) => output.notice(sentence));
    if (!alone || unseen.length === 0)
      await writeSign(signFileOf(directory, "watchdog"), { installation, count: systemClock.now() });
    await systemClock.sleep(every, signal);
  }
}

/** `cotrain market watchdog`. */
export const marketWatchdogCommand = defineCommand({
  name: "market watchdog",
  summary: "a second process that ends all machines when nobody keeps the leases any more",
  options: watchdogOptions,
  examples: [["npx cotrain market watchdog --leases /mnt/shared/leases", "best on another machine"]],
  notes: [
    "It has the providers' keys and the directory in which who keeps the leases leaves a sign of life; it ends machines with that installation's labels and does nothing else. Another machine shares the directory.",
    "Its own sign is what lets machines be rented whose bill nothing else ends; it leaves none before all accounts have answered it.",
  ],
  run: ({ options, output }) =>
    runDaemon(({ signal }) => withWebhook(options, output, (tell) => watch({ options, output }, signal, tell)), {
      name: "cotrain market watchdog",
      logger: createLogger({ component: "market", level: "warn" }),
      report: output.complain,
      channel: channelOnStderr(),
    }),
});
