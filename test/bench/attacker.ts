/** A process that does to a coordinator what an attack of `test/attack/sockets.test.ts` does, until it is ended. */
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { createCoordinatorClient, type Digest, type Domain, routes, type RunId } from "@cotrain/sdk/protocol";

import { InternalError } from "../../offchain/src/base/index.ts";
import { fragmentLayouts } from "../../offchain/src/diloco/index.ts";
import { greedyRequests, openSocket, spoiled } from "../attack/sockets.ts";
import { joinMember, type KnownRun, nextAssignment, randomPayloads, uploadAll } from "./lightRun.ts";

export type Attack = "idle" | "slow" | "ranges" | "receipts";

/** What the attacker is told, by its parent. */
export interface Orders {
  readonly attack: Attack;
  readonly url: string;
  readonly runId: RunId;
  readonly domain: Domain;
  readonly material: KnownRun["material"];
  /** Blobs that are large enough to be read slowly. */
  readonly shards: readonly Digest[];
}

/** An address of loopback for the nth socket, away from the honest one's; elsewhere than on Linux there is but one. */
const addressOf = (n: number, addresses: number): string | undefined =>
  process.platform === "linux" ? `127.0.0.${2 + (n % addresses)}` : undefined;

/** Keeps so many sockets open, opening anew what the coordinator closes. */
async function hold(count: number, open: (n: number) => Promise<Socket>): Promise<void> {
  const keep = async (n: number): Promise<void> => {
    const socket = await open(n);
    socket.pause();
    socket.once("close", () => setTimeout(() => void keep(n), 500));
  };
  for (let n = 0; n < count; n++) await keep(n);
}

/** Asks for one byte of one shard after another, over 32 connections. */
function askForBytes({ url, runId, shards }: Orders): void {
  const ask = async (first: number): Promise<void> => {
    for (let n = first; ; n++) {
      const shard = shards[n % shards.length]!;
      const reply = await fetch(url + routes.blob(runId, shard), { headers: { range: "bytes=7-7" } }).catch(
        () => undefined,
      );
      if (reply) await reply.arrayBuffer();
      else await sleep(50);
    }
  };
  for (let n = 0; n < 32; n++) void ask(n);
}

/** Joins, uploads a payload that has no numbers in it, and sends its receipt again and again, four at a time. */
async function sendReceipts({ url, runId, domain, material }: Orders): Promise<() => void> {
  const layouts = fragmentLayouts(material.definition.table);
  const run: KnownRun = { coordinator: createCoordinatorClient(url), runId, domain, material, layouts };
  const member = await joinMember(run);
  const assignment = await nextAssignment(member);
  const payloads = randomPayloads(layouts, assignment.codec).map((bytes) => spoiled(bytes));
  const request = await uploadAll(run, member, assignment, payloads);
  const send = async (): Promise<void> => {
    for (;;) await member.session.submitReceipt(request).catch(() => undefined);
  };
  return () => {
    for (let n = 0; n < 4; n++) void send();
  };
}

const ready = (): void => void process.send?.("ready");

async function begin(orders: Orders): Promise<void> {
  const { attack, url, runId, shards } = orders;
  const port = Number(new URL(url).port);
  switch (attack) {
    case "idle":
      await hold(2_000, (n) => openSocket({ port, from: addressOf(n, 4) }));
      return ready();
    case "slow": {
      const path = routes.blob(runId, shards[0]!);
      await hold(1_000, (n) => openSocket({ port, from: addressOf(n, 8) }, greedyRequests(path)));
      return ready();
    }
    case "ranges":
      askForBytes(orders);
      return ready();
    case "receipts": {
      const go = await sendReceipts(orders);
      // The first ones, which are read, fall into what is measured.
      ready();
      return go();
    }
    default:
      throw new InternalError("ATTACK_UNKNOWN", `There is no attack ${String(attack)}.`);
  }
}

if (import.meta.main) {
  process.once("disconnect", () => process.exit(0));
  process.once("message", (orders) => void begin(orders as Orders));
}
