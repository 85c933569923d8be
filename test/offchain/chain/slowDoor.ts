/** The door of a chain at rest whose clock has slowed down. */
import { expect, onTestFinished } from "vitest";

import { createManualClock } from "../manualClock.ts";
import {
  type ChainDoor,
  type ChainPace,
  createChainPace,
  developmentChain,
  openChainDoor,
} from "../../../offchain/src/chain/index.ts";
import type { TestNode } from "./node.ts";

export async function slowDoor({ link }: TestNode): Promise<{ readonly pace: ChainPace; readonly door: ChainDoor }> {
  const clock = createManualClock();
  const pace = createChainPace(developmentChain(link), clock);
  const door = await openChainDoor({
    link,
    port: { port: 0, explicit: true },
    onTransaction: () => pace.stirred(),
  });
  onTestFinished(() => door.close());
  pace.rest();
  await clock.advance(700_000);
  expect(pace.seconds).toBe(30);
  return { pace, door };
}
