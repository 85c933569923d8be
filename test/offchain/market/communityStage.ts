/** A renter, a coordinator that passes on what is said, a chain with one escrow, and a machine that is let: all in memory, by one clock. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { RetryableError } from "../../../offchain/src/base/index.ts";
import type { Community } from "../../../offchain/src/market/community/file.ts";
import { listCommunity } from "../../../offchain/src/market/community/listing.ts";
import { communityAccount } from "../../../offchain/src/market/community/renting.ts";
import { openLending } from "../../../offchain/src/market/community/lending.ts";
import { keptIn, Tenancy } from "../../../offchain/src/market/community/tenancy.ts";
import type { Order } from "../../../offchain/src/market/base/renting.ts";
import {
  type Address,
  asAddress,
  asRunId,
  callerOf,
  hardwareOf,
  hashMachineOffer,
  type Hex,
  leaseKind,
  leaseOfTerms,
  type LeaseTerms,
  type ListedOffer,
  type MachineSaid,
  type MachineView,
  passText,
  regionOf,
  type RenterWord,
  type SignedPass,
  signMachineOffer,
  signPass,
  toWire,
} from "@cotrain/sdk/protocol";
import { keccak256, stringToHex } from "viem";
import { privateKeyToAccount } from "viem/accounts";

const accountOf = (name: string) => privateKeyToAccount(keccak256(stringToHex(name)));
type Wallet = ReturnType<typeof accountOf>;
const [owner, machine] = ["owner", "machine"].map(accountOf) as [Wallet, Wallet];
export const [renter, thief] = ["renter", "thief"].map(accountOf) as [Wallet, Wallet];
const low = (account: { readonly address: Address }): Address => asAddress(account.address);
export const place = { chainId: 31_337, escrow: asAddress(`0x${"e5".repeat(20)}`) };
const token = asAddress(`0x${"70".repeat(20)}`);
const runId = asRunId(keccak256(stringToHex("run")));
const START = 1_800_000_000_000;
export const LABEL = "ct-0a1b2c3d-00000001-1";
/** Of the token's smallest units, which are millionths of a dollar. */
export const PRICE = 100n;
export const PERIOD = 300_000;

interface Channel {
  deposit: bigint;
  held: bigint;
  paid: bigint;
  earned: bigint;
  closesAt: number | undefined;
}

export async function communityStage(gpus = 1) {
  const directory = mkdtempSync(join(tmpdir(), "community-"));
  let now = START;
  const clock = { now: () => now, monotonic: () => now };
  const facts = {
    gpu: "RTX 3090",
    gpus,
    vramGb: 24,
    cpus: 8,
    ramGb: 64,
    diskGb: 500,
    caller: callerOf(`0x${"5e".repeat(32)}`),
  };
  const offer = {
    owner: low(owner),
    machine: low(machine),
    hardware: hardwareOf(facts),
    token,
    pricePerSecond: PRICE,
    minSeconds: 600,
    maxSeconds: 36_000,
    region: regionOf("here"),
    validUntil: BigInt(START / 1_000 + 86_400),
    nonce: 1n,
    kind: leaseKind.paid,
  };
  const listed: ListedOffer = {
    escrow: place.escrow,
    offer: toWire("MachineOffer", offer),
    signature: await signMachineOffer(owner, place, offer),
    facts,
  };
  const community: Community = {
    coordinator: "http://127.0.0.1:7700",
    run: runId,
    ...place,
    rpc: "http://127.0.0.1:8545",
    tokens: [{ address: token, decimals: 6, microUsd: 1_000_000n }],
    notice: 900,
    keystore: undefined,
  };
  const world = {
    coordinatorAway: false,
    chainAway: false,
    /** Whether a worker of the machine is a member that is heard of. */
    alive: false,
    /** Of its workers, the first ones, which are none all the same. */
    dead: 0,
    taken: false,
    diesAfterOpening: false,
    wallet: 1_000_000_000n,
    earned: 0n,
    opened: 0,
    word: null as RenterWord | null,
    said: null as MachineSaid | null,
    running: 0,
    told: [] as string[],
  };
  const channels = new Map<Hex, Channel>();
  const idOf = (terms: LeaseTerms): Hex => leaseOfTerms(place, terms);
  const requireChain = (): void => {
    if (world.chainAway) throw new RetryableError("CHAIN_UNREACHABLE", "The chain does not answer.");
  };
  const requireCoordinator = (): void => {
    if (world.coordinatorAway) throw new RetryableError("UNREACHABLE", "The coordinator does not answer.");
  };
  const seen = (terms: LeaseTerms): Promise<Channel | undefined> => {
    requireChain();
    const found = channels.get(idOf(terms));
    return Promise.resolve(found === undefined ? undefined : { ...found });
  };
  const view = (): MachineView => ({ ...listed, heardMs: 0, taken: world.taken });

  const account = () =>
    communityAccount({
      community,
      runId,
      directory: join(directory, "leases"),
      renter: { ...renter, address: low(renter) },
      clock,
      coordinator: {
        machines: async () => {
          requireCoordinator();
          return { machines: [view()] };
        },
        word: async (_, word) => {
          requireCoordinator();
          world.word = word;
          return { heardMs: 0, said: world.said?.leaseId === word.asked.offer.leaseId ? world.said : null };
        },
        lease: async ({ pass }) => {
          requireCoordinator();
          const member = world.alive && pass.index >= world.dead;
          return {
            lease: keccak256("0x"),
            worker: member ? low(machine) : null,
            member,
            ended: false,
            heardMs: member ? 0 : null,
            report: null,
            measured: null,
            software: null,
          };
        },
      },
      chain: {
        channel: seen,
        balance: () => Promise.resolve(world.wallet),
        open: async (terms, deposit) => {
          requireChain();
          world.opened += 1;
          world.wallet -= deposit;
          channels.set(idOf(terms), { deposit, held: deposit, earned: 0n, paid: 0n, closesAt: undefined });
          if (world.diesAfterOpening) throw new RetryableError("CHAIN_UNREACHABLE", "Nobody hears that it is there.");
        },
        close: async (terms) => {
          requireChain();
          const channel = channels.get(idOf(terms));
          if (channel) channel.closesAt ??= now / 1_000 + terms.notice;
        },
        withdraw: async (terms) => {
          requireChain();
          const channel = channels.get(idOf(terms));
          if (!channel) return;
          world.wallet += channel.held;
          Object.assign(channel, { held: 0n, deposit: channel.paid });
        },
        now: () => Promise.resolve(now / 1_000),
      },
    });

  const lending = () =>
    openLending({
      place,
      runId,
      listed,
      machine: { ...machine, address: low(machine) },
      leastNotice: 600,
      redeemEvery: 3_600_000,
      clock,
      kept: keptIn<Tenancy>(directory, "lease", Tenancy),
      call: async (said) => {
        requireCoordinator();
        world.said = said;
        return world.word;
      },
      working: async (passes) => {
        requireCoordinator();
        return world.alive ? passes.length - world.dead : 0;
      },
      channel: ({ terms }) => seen(terms),
      redeem: async ({ terms }, { voucher }) => {
        requireChain();
        const channel = channels.get(idOf(terms));
        if (!channel) return;
        const cumulative = BigInt(voucher.cumulative);
        const due = (cumulative < channel.deposit ? cumulative : channel.deposit) - channel.paid;
        Object.assign(channel, { paid: channel.paid + due, earned: channel.paid + due, held: channel.held - due });
        world.earned += due;
      },
      run: async (passes) => void (world.running = passes.length),
      tell: (sentence) => void world.told.push(sentence),
    });

  const domain = { name: "Cotrain", version: "1", chainId: place.chainId, verifyingContract: place.escrow } as const;
  const passes: SignedPass[] = await Promise.all(
    Array.from({ length: gpus }, (_, index) =>
      signPass(renter, domain, { runId, label: LABEL, index, beneficiary: low(renter), notAfter: START + 86_400_000 }),
    ),
  );
  const listing = () => listCommunity(community, [view()], now);
  const order = async (change: Partial<Order> = {}): Promise<Order> => {
    const [found] = (await listing()).offers;
    if (found === undefined) throw new Error("the machine is not listed");
    return {
      label: LABEL,
      offer: found,
      diskGb: 10,
      image: "",
      script: "",
      environment: Object.fromEntries(passes.map((pass, index) => [`JOIN_PASS_${index}`, passText(pass)])),
      maximumPerHour: 1_000_000n,
      endsAt: now + 7_200_000,
      ...change,
    };
  };
  return {
    world,
    channels,
    listed,
    account,
    lending,
    listing,
    order,
    offerName: hashMachineOffer(offer),
    now: (): number => now,
    elapse: (ms: number): void => void (now += ms),
    close: () => rmSync(directory, { recursive: true, force: true }),
  };
}
