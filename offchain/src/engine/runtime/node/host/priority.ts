/**
 * Lets a process have less of the processor, or only what nobody else wants. Niceness alone does neither: where the kernel groups processes by session
 * (sched_autogroup_enabled, 1 on most systems), each group gets an equal share and niceness counts within the group only
 * (sched(7)). So the group's own niceness is set too; the engine's process has a session, and so a group, of its own.
 * Inside a container's control group there are no such groups, and the idle policy decides.
 */
import { writeFile } from "node:fs/promises";
import { constants, setPriority } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

import { errnoOf } from "../../../../base/core.ts";
import { runSystemProgram } from "../systemPrograms.ts";

/** The kernel takes one such write in a tenth of a second from all users together. */
const TRIES = 8;
const PAUSE_MS = 120;

/** Of training: a third of what another group gets that wants the processor too (sched(7), each step is a factor of 1.25). */
const GIVES_WAY = 5;

async function niceGroup(pid: number, niceness: number): Promise<void> {
  for (let tries = 0; tries < TRIES; tries++) {
    try {
      return await writeFile(`/proc/${pid}/autogroup`, String(niceness));
    } catch (error) {
      if (errnoOf(error) !== "EAGAIN") return; // no such groups here
      await sleep(PAUSE_MS);
    }
  }
}

/** What does not work on this system is left out; niceness works everywhere. */
async function niceAll(pid: number, niceness: number): Promise<void> {
  try {
    setPriority(pid, niceness);
  } catch {
    // It has ended, or this is not allowed here.
  }
  if (process.platform === "linux") await niceGroup(pid, niceness);
}

/** For work without end that nobody waits for by the second. */
export const giveWay = (pid: number): Promise<void> => niceAll(pid, GIVES_WAY);

/** For what may wait for ever. */
export async function yieldAlways(pid: number): Promise<void> {
  await niceAll(pid, constants.priority.PRIORITY_LOW);
  if (process.platform !== "linux") return;
  // SCHED_IDLE, for the threads that are there; those to come inherit it.
  await runSystemProgram("chrt", ["--all-tasks", "--idle", "--pid", "0", String(pid)]).catch(() => undefined);
}
