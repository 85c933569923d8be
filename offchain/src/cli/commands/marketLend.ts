/** `cotrain market lend`: what runs on a machine that its owner lets. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { cpus, totalmem } from "node:os";
import { resolve } from "node:path";

import {
  asAddress,
  callerOf,
  createCoordinatorClient,
  findRun,
  type Hex,
  type ListedOffer,
  type MachineFacts,
  passText,
  type SignedPass,
} from "@cotrain/sdk/protocol";

import { systemClock, unlessAborted, UserError } from "../../base/index.ts";
import { readFileBounded, writeFileDurable } from "../../base/node/index.ts";
import { connectEscrow, keptIn, machineChain, openLending, readListedOffer, Tenancy } from "../../market/index.ts";
import { openWorkplace, runOption, stateOption, workerOptions, type Workplace } from "../../run/index.ts";
import {
  createLogger,
  createSupervisor,
  type DaemonContext,
  duration,
  integer,
  runDaemon,
  text,
  url,
} from "../../service/index.ts";
import { type CommandContext, defineCommand } from "../command.ts";
import { fundLocally } from "../place.ts";

const GIB = 1 << 30;
/** Of a worker that is to be alive, ms. */
const ALIVE = 10_000;
/** Ms after which a sentence is said again, and how many are remembered. */
const AGAIN = 600_000;
const MOST_SENTENCES = 64;

const lendOptions = {
  coordinator: url({ description: "URL of the coordinator that lists the machine", default: "http://127.0.0.1:7700" }),
  run: runOption,
  rpc: url({ description: "JSON-RPC of the chain on which it is paid" }),
  offer: text({
    value: "file",
    description: "its offer, as market offer wrote it (without: the machine is described)",
  }),
  gpu: text({ description: "what its GPUs are, such as RTX 3090" }),
  gpus: integer(1, 64, { description: "how many there are", default: 1 }),
  vram: integer(1, 2_048, { description: "GB of memory of one" }),
  disk: integer(1, 10_000_000, { description: "GB of disk for a renter's work", default: 100 }),
  leastNotice: duration({
    description: "notice that a renter must give, in which the last voucher is redeemed",
    default: 600_000,
  }),
  redeemEvery: duration({ description: "time between two redemptions while a lease lasts", default: 3_600_000 }),
  every: duration({ description: "time between two calls of the coordinator", default: 5_000 }),
  state: { ...stateOption, description: "directory of the machine's key and of its lease", default: ".cotrain-lent" },
  logLevel: workerOptions.logLevel,
} as const;
type Context = CommandContext<typeof lendOptions>;

/** The machine's secret, which its offers have the hash of. */
async function secretOf({ directory }: Workplace): Promise<Hex> {
  const file = directory.resolve("secret");
  if (!existsSync(file)) await writeFileDurable(file, `0x${randomBytes(32).toString("hex")}`, { mode: 0o600 });
  return new TextDecoder().decode(await readFileBounded(file, 66)) as Hex;
}

/** Describes the machine, for its owner to sign an offer. */
async function describe({ options, output }: Context, workplace: Workplace): Promise<void> {
  const { gpu, gpus, vram, disk } = options;
  if (gpu === undefined || vram === undefined)
    throw new UserError("USAGE", "Name the machine's offer with --offer, or describe it with --gpu and --vram.");
  const facts: MachineFacts = {
    gpu,
    gpus,
    vramGb: vram,
    cpus: cpus().length,
    ramGb: Math.max(1, Math.floor(totalmem() / GIB)),
    diskGb: disk,
    caller: callerOf(await secretOf(workplace)),
  };
  const machine = asAddress(workplace.account.address);
  const file = workplace.directory.resolve("machine.json");
  await writeFileDurable(file, JSON.stringify({ machine, facts }));
  output.result({ file, machine, facts }, [
    `The machine's key is ${machine}; what it is stands in ${file}.`,
    `Its owner signs what it is let for: npx cotrain market offer ${file} --token … --price … --escrow … --wallet …`,
  ]);
}

/** Workers of a lease, as one process that is there while there are passes. */
function workersOf(
  { options }: Context,
  { directory }: Workplace,
  { logger, onShutdown }: DaemonContext,
  runId: string,
) {
  const supervisor = createSupervisor({ logger, logDirectory: directory.resolve("logs"), restartDelay: 5_000 });
  onShutdown("workers", () => supervisor.stopAll());
  let running: string | undefined;
  return async (passes: readonly SignedPass[]): Promise<void> => {
    const name = passes[0] === undefined ? undefined : `lease-${passes[0].signature.slice(2, 18)}`;
    if (name === running) return;
    if (running !== undefined) {
      await supervisor.stop(running);
      // Keys that joined by passes which are over serve nobody.
      await rm(directory.resolve(running), { recursive: true, force: true });
    }
    running = name;
    if (name === undefined) return;
    const file = directory.resolve("passes");
    await writeFileDurable(file, passes.map((pass) => `${passText(pass)}\n`).join(""), { mode: 0o600 });
    const flags = [
      `--coordinator=${options.coordinator}`,
      `--run=${runId}`,
      `--passes=${file}`,
      `--state=${directory.resolve(name)}`,
      `--log-level=${options.logLevel}`,
    ];
    await supervisor.start({
      name,
      command: process.execPath,
      args: [...process.execArgv, process.argv[1] ?? "", "machine", ...flags],
    });
  };
}

/** That an offer is this machine's. @throws UserError `OFFER_FOREIGN` */
function requireOwn(listed: ListedOffer, { account }: Workplace, secret: Hex): void {
  if (listed.offer.machine === asAddress(account.address) && listed.facts.caller === callerOf(secret)) return;
  throw new UserError(
    "OFFER_FOREIGN",
    `The offer is of machine ${listed.offer.machine}, and this is ${account.address}.`,
  );
}

/** Says each sentence once, until it says another. */
function sayingOnce(say: (sentence: string) => void): (sentence: string) => void {
  const said = new Map<string, number>();
  return (sentence) => {
    const now = systemClock.monotonic();
    const before = said.get(sentence);
    if (before !== undefined && now - before < AGAIN) return;
    if (said.size > MOST_SENTENCES) said.clear();
    said.set(sentence, now);
    say(sentence);
  };
}
async function lend(context: Context, workplace: Workplace, offer: string, daemon: DaemonContext): Promise<void> {
  const { options } = context;
  const { logger, signal } = daemon;
  if (options.rpc === undefined)
    throw new UserError(
      "RPC_MISSING",
      "Name the chain on which the machine is paid with --rpc: deposits are read there.",
    );
  const secret = await secretOf(workplace);
  const listed = await readListedOffer(offer);
  requireOwn(listed, workplace, secret);
  const client = createCoordinatorClient(options.coordinator);
  const runId = await findRun(client, options.run);
  const { chainId } = await client.run(runId);
  const place = { chainId, escrow: asAddress(listed.escrow) };
  const { account, directory } = workplace;
  const connection = await connectEscrow(options.rpc, place);
  const fund = () => fundLocally(connection, asAddress(account.address));
  const lending = await openLending({
    place,
    runId,
    listed,
    machine: { ...account, address: asAddress(account.address) },
    leastNotice: Math.ceil(options.leastNotice / 1_000),
    redeemEvery: options.redeemEvery,
    clock: systemClock,
    kept: keptIn<Tenancy>(directory.path, "lease", Tenancy),
    call: async (said) => (await client.callOfMachine(runId, secret, { ...listed, said })).word,
    working: async (passes) => {
      let working = 0;
      for (const pass of passes) {
        const { member, heardMs } = await client.lease(runId, { pass });
        if (member && heardMs !== null && heardMs <= ALIVE) working += 1;
      }
      return working;
    },
    ...machineChain(connection, place, account, fund),
    run: workersOf(context, workplace, daemon, runId),
    tell: sayingOnce((sentence) => logger.info(sentence)),
  });
  logger.info(`machine ${account.address} is let by ${listed.offer.owner}`);
  for (;;) {
    await lending.turn();
    await unlessAborted(systemClock.sleep(options.every, signal), signal).catch(() => undefined);
    if (signal.aborted) return;
  }
}

/** `cotrain market lend`. */
export const marketLendCommand = defineCommand({
  name: "market lend",
  summary: "let this machine: describe it, or list it by its offer, work for who rents it, and redeem what is paid",
  options: lendOptions,
  examples: [
    ["npx cotrain market lend --gpu 3090 --vram 24", "makes the machine's key, and describes it for its owner"],
    [
      "npx cotrain market lend --offer offer.json --coordinator https://train.example.org --rpc https://rpc.example.org",
      "lists it, and takes leases that fit the offer",
    ],
  ],
  notes: [
    "It works for who has deposited for it, and leaves who does not pay: a period of five minutes and a minute more is the most that it works unpaid. What was paid is redeemed each --redeem-every, when the lease ends, and when its renter closes the channel.",
    "The machine's own key pays the fees of redemptions, and needs some coins for that. What is earned goes to the owner who signed the offer, whoever has the machine.",
  ],
  async run(context) {
    const { options, output } = context;
    const logger = createLogger({ component: "machine", level: options.logLevel });
    const workplace = await openWorkplace(resolve(options.state), {});
    try {
      const { offer } = options;
      if (offer === undefined) {
        await describe(context, workplace);
        return 0;
      }
      return await runDaemon((daemon) => lend(context, workplace, offer, daemon), {
        name: "cotrain market lend",
        logger,
        report: output.complain,
        channel: "log",
        shutdownDeadline: 60_000,
      });
    } finally {
      workplace.directory.close();
    }
  },
});
