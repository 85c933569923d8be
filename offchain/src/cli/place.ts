/** Where a command looks at a run and acts in it: this directory's run, or somebody else's behind a coordinator; and its wallets. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

import {
  type Address,
  asAddress,
  type ContractAddresses,
  createCoordinatorClient,
  type ModelId,
  type RunId,
} from "@cotrain/sdk/protocol";
import type { PrivateKeyAccount } from "viem/accounts";

import { UserError, weiOf } from "../base/index.ts";
import {
  type ChainConnection,
  type ChainReader,
  connect,
  createReader,
  DEVELOPMENT_CHAIN_ID,
  developmentChain,
  requestFunds,
  type WalletClient,
  walletOn,
} from "../chain/index.ts";
import {
  blobSourceOf,
  type BlobSource,
  isOwnerRole,
  isValidatorRole,
  isWorkerRole,
  type LocalRun,
  maxFeeOption,
  namedRunOptions,
  openLocalRun,
  openPinnedRun,
  openRemoteRun,
  openWallet,
  passphraseFileOption,
  type Pins,
  pinsOf,
  readerOptions,
  rememberingBlobs,
  requireNamedDeployment,
  runNamed,
  walletFile,
  walletOption,
  withChain,
  workOn,
} from "../run/index.ts";
import { openKeystore, parseAddress, text } from "../service/index.ts";
import type { Output } from "./output.ts";

export const placeOptions = {
  ...namedRunOptions,
  state: text({
    value: "directory",
    description:
      "directory of the local state, or with --coordinator of the worker (default: .cotrain, .cotrain-worker)",
  }),
};

/** `--state` of what validators sign, whose wallets lie elsewhere than a worker's. */
export const validatorStateOption = text({
  value: "directory",
  description:
    "directory of the local state, or of somebody else's run's validator (default: .cotrain, .cotrain-validator)",
});

/** What a command takes that sends transactions with a wallet of its place. */
export const signingOptions = {
  ...placeOptions,
  wallet: walletOption,
  passphraseFile: passphraseFileOption,
  maxFee: {
    ...maxFeeOption,
    description:
      "coins that the fees of one transaction may take, a quarter of them as its tip; a dearer one is not sent (exit code 75)",
  },
};

export interface PlaceFlags {
  readonly state?: string | undefined;
  readonly coordinator?: string | undefined;
  readonly rpc?: string | undefined;
  readonly run?: string | undefined;
  readonly deployment?: string | undefined;
  readonly wallet?: string | undefined;
}

/** A wallet of a place; its key is asked for when it is used. */
interface Entry {
  readonly name: string;
  readonly account: Address;
  readonly open: () => Promise<PrivateKeyAccount>;
  /** Path of its keystore. */
  readonly keystore: string;
  /** Directory of its daemon, which may not be there; undefined where it may be any. */
  readonly directory: string | undefined;
}

/** A run, its chain, and whose keys are here. */
export interface Place {
  readonly connection: ChainConnection;
  readonly reader: ChainReader;
  readonly runId: RunId;
  readonly modelId: ModelId;
  readonly addresses: ContractAddresses;
  /** Block from which on the contracts exist. */
  readonly fromBlock: number;
  readonly blobs: BlobSource;
  /** The directory whose run it is; undefined for somebody else's. */
  readonly state: string | undefined;
  readonly entries: readonly Entry[];
  /** Run, chain and contracts are what this directory or the user names, and no coordinator's word. */
  readonly pinned: boolean;
  /** Of the deployment that this directory or the user names; undefined where a coordinator says which it is. */
  readonly pins: Pins | undefined;
  /** The chain is the one that this directory embeds: nobody else answers for it. */
  readonly embedded: boolean;
}

const entryOf = (account: PrivateKeyAccount, keystore: string, directory: string | undefined): Entry => ({
  name: "wallet",
  account: asAddress(account.address),
  open: async () => account,
  keystore,
  directory,
});

/** Whose wallets a command acts with, and where they have their state with somebody else's run. */
const parties = {
  owners: { is: isOwnerRole, state: ".cotrain-worker" },
  workers: { is: isWorkerRole, state: ".cotrain-worker" },
  organisers: { is: (role: string) => role === "organiser", state: ".cotrain-worker" },
  validators: { is: isValidatorRole, state: ".cotrain-validator" },
} as const;

/** Wallets of this state that are one party's. */
const walletsOf = (run: LocalRun, party: keyof typeof parties): Entry[] =>
  Object.entries(run.file.wallets ?? {}).flatMap(([name, account]) =>
    parties[party].is(name)
      ? [
          {
            name,
            account: asAddress(account),
            open: () => openWallet(run.state, name),
            keystore: walletFile(run.state, name),
            directory: join(run.state, name),
          },
        ]
      : [],
  );

/** The wallet that the flags name, in a run of this machine; its daemon's directory is known where it is one of the run's. */
function ownEntryOf(run: LocalRun, own: PrivateKeyAccount, { wallet = "" }: PlaceFlags): Entry {
  const account = asAddress(own.address);
  const name = Object.entries(run.file.wallets ?? {}).find(([, each]) => asAddress(each) === account)?.[0];
  return entryOf(own, wallet, name === undefined ? undefined : join(run.state, name));
}

const memberKeystore = (state: string) => ({
  keystore: join(state, "wallet.json"),
  passphrase: join(state, "passphrase"),
});

/** The wallet of a member of somebody else's run: the one that is named, or its directory's. */
async function memberEntries(
  { wallet = "" }: PlaceFlags,
  own: PrivateKeyAccount | undefined,
  directory: string,
): Promise<Entry[]> {
  if (own) return [entryOf(own, wallet, directory)];
  const files = memberKeystore(directory);
  return existsSync(files.keystore) ? [entryOf(await openKeystore(files), files.keystore, directory)] : [];
}

/** Of a run of which nobody but the chain is asked. */
const noBlobs: BlobSource = {
  blob: () =>
    Promise.reject(
      new UserError("COORDINATOR_MISSING", "This needs what the run's coordinator serves: name it with --coordinator."),
    ),
};

/** Whether the flags name run, contracts and chain, so that no coordinator is asked. */
const isNamed = ({ run, deployment, rpc }: PlaceFlags): boolean =>
  run !== undefined && deployment !== undefined && rpc !== undefined;

/** Somebody else's run: where it and its contracts are named its coordinator may be away, and else says which they are. */
async function openedOf({ coordinator, run, deployment }: PlaceFlags) {
  if (run !== undefined && deployment !== undefined)
    return { ...(await openPinnedRun({ run, deployment })), whole: true };
  return { ...(await openRemoteRun({ coordinator: coordinator ?? "", run, deployment })), whole: false };
}

async function atRemotePlace<T>(
  flags: PlaceFlags,
  entries: readonly Entry[],
  work: (place: Place) => Promise<T>,
  unpinned?: () => void,
): Promise<T> {
  const { coordinator, rpc } = flags;
  if (rpc === undefined)
    throw new UserError("RPC_MISSING", "--coordinator needs --rpc: what counts is read from the chain itself.");
  const { runId, chainId, contracts: addresses, fromBlock, pins, whole } = await openedOf(flags);
  if (!pins) unpinned?.();
  const blobs = coordinator === undefined ? noBlobs : rememberingBlobs(createCoordinatorClient(coordinator));
  return workOn(await connect({ rpcUrl: rpc, chainId }), async (connection) => {
    const reader = createReader(connection, { contracts: addresses, fromBlock });
    // The model is the one of the run's record on-chain, whatever the coordinator says; the run's id proves it.
    const { modelId } = await reader.run(runId);
    return work({
      connection,
      reader,
      runId,
      modelId,
      addresses,
      fromBlock,
      blobs,
      state: undefined,
      entries,
      pinned: whole,
      pins,
      embedded: false,
    });
  });
}

/**
 * Runs `work` at the place that the flags name.
 * @param own the wallet that they name, instead of the directory's
 * @param unpinned called where the contracts are the coordinator's word alone, before the chain is asked anything
 * @param more.party whose wallets they are
 * @param more.ticking the clock of a local chain goes meanwhile
 */
export async function atPlace<T>(
  flags: PlaceFlags,
  own: PrivateKeyAccount | undefined,
  work: (place: Place) => Promise<T>,
  unpinned?: () => void,
  { party = "owners", ticking = false }: { readonly party?: keyof typeof parties; readonly ticking?: boolean } = {},
): Promise<T> {
  const { coordinator, rpc, run: named, deployment } = flags;
  const state = resolve(flags.state ?? ".cotrain");
  const holdsRun = existsSync(join(state, "run.json"));
  if (coordinator !== undefined || (!holdsRun && isNamed(flags))) {
    const directory = resolve(flags.state ?? parties[party].state);
    return atRemotePlace(flags, await memberEntries(flags, own, directory), work, unpinned);
  }
  if (existsSync(memberKeystore(state).keystore) && !holdsRun)
    throw new UserError(
      "COORDINATOR_MISSING",
      `${state} belongs to a member of somebody else's run: name its coordinator and chain with --coordinator and --rpc.`,
    );
  const elsewhere = `the directory of your wallet in that one (${parties[party].state}), or any that holds no run,`;
  const run = runNamed(await openLocalRun(state), named, isNamed(flags) ? elsewhere : undefined);
  await requireNamedDeployment(run, deployment);
  return withChain(
    run,
    async (connection) => {
      const { runId, modelId, deployment: made } = run;
      const options = readerOptions(connection.url, connection.chainId, made);
      return work({
        connection,
        reader: createReader(connection, options),
        runId,
        modelId,
        addresses: made.addresses,
        fromBlock: options.fromBlock,
        blobs: blobSourceOf(run.blobs),
        state: run.state,
        entries: own ? [ownEntryOf(run, own, flags)] : walletsOf(run, party),
        pinned: true,
        pins: pinsOf(made),
        embedded: rpc === undefined && run.file.chain.embedded,
      });
    },
    rpc,
    ticking,
  );
}

/** The wallets of a place. @throws UserError `WALLET_MISSING` where it has none */
export function requireEntries({ entries }: Place, { state, coordinator }: PlaceFlags): Place["entries"] {
  if (entries.length > 0) return entries;
  throw new UserError(
    "WALLET_MISSING",
    `${resolve(state ?? (coordinator === undefined ? ".cotrain" : parties.workers.state))} holds no worker's wallet: name its directory with --state, or a keystore with --wallet and --passphrase-file.`,
  );
}

/** Says, before a wallet signs, that contracts are not pinned, to people. */
export const unpinnedNotice =
  ({ run, maxFee }: { readonly run?: string | undefined; readonly maxFee: number }, output: Output) =>
  (): void => {
    if (output.json) return;
    output.notice(
      `The contracts are the coordinator's word alone, and the wallet pays for what they do, up to ${maxFee} coins a transaction: pin them with --deployment${run === undefined ? " and --run" : ""}.`,
    );
  };

/** Says, before a wallet sends what concerns one model alone, which that is where a coordinator names it, to people. */
export function sayUnpinnedModel({ pinned, modelId, runId }: Place, output: Output): void {
  if (pinned || output.json) return;
  output.notice(`It is model ${modelId}, that of run ${runId}, by the coordinator's word alone.`);
}

/** Coins below which a wallet on the local chain gets some, in wei: a claim costs a hundredth of it. */
const LOCAL_LEAST = 10n ** 17n;

/** Fees on the local chain are play money, for whoever joined too. */
export async function fundLocally({ client, chainId, url }: ChainConnection, account: Address): Promise<void> {
  if (chainId !== DEVELOPMENT_CHAIN_ID || (await client.getBalance({ address: account })) >= LOCAL_LEAST) return;
  // The embedded chain's door gives some; a node that somebody runs himself is told to. Where neither will, what is sent
  // says itself who cannot pay.
  await requestFunds(url, account)
    .catch(() => developmentChain(url).fund([account]))
    .catch(() => undefined);
}

/** A client that signs with a place's wallet, which has play money where fees are that. */
export async function signingAs(
  { connection }: Place,
  { account, open }: Entry,
  { maxFee }: { readonly maxFee: number },
): Promise<WalletClient> {
  await fundLocally(connection, account);
  return walletOn({ ...connection, maxFee: weiOf(maxFee) }, await open());
}

/**
 * The address that an argument gives.
 *
 * @throws UserError of this code, which says what `who` may be named by
 */
export function addressNamed(who: string, code: string, argument: string): Address {
  const address = parseAddress(argument);
  if (address !== undefined) return address;
  throw new UserError(
    code,
    `${who} is named by its address of 0x and 40 hex digits that is not zero, in one case or with the checksum of EIP-55 in its casing, not by ${JSON.stringify(argument.slice(0, 100))}.`,
  );
}

/** The chain's time, s. */
export const nowOf = async ({ connection }: Pick<Place, "connection">): Promise<number> =>
  Number((await connection.call((client) => client.getBlock())).timestamp);

/** What a command that shows and signs nothing reads at the place that the flags name, and the chain's time. */
export const shownAt = <T extends object>(
  flags: PlaceFlags,
  read: (place: Place) => Promise<T>,
): Promise<T & { readonly now: number }> =>
  atPlace(flags, undefined, async (place) => ({ ...(await read(place)), now: await nowOf(place) }));
