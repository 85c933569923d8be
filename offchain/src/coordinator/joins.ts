/**
 * Joining: a machine key signs whom it works for and what it can compute; the reply opens a session. What costs nothing to
 * check comes first, then the signature, at last what the chain is asked for.
 */
import { asDigest, batchOf, fromWire, type JoinReply, type JoinRequest, protocolVersion } from "@cotrain/sdk/protocol";
import { zeroAddress } from "viem";

import { machineClassOf } from "../run/index.ts";
import { RefusedError } from "./errors.ts";
import { JOIN_WINDOW_MS, openPlaces } from "./machine/members.ts";
import { requireAdmitted } from "./machines.ts";
import { checkLease, requirePass } from "./passes.ts";
import { refusalOf, runFull, staleJoin } from "./machine/rules.ts";
import { isOver, type Run } from "./run.ts";

/** What costs nothing to check. @returns the protocol that both speak. @throws RefusedError */
function checkWords(run: Run, join: JoinRequest["join"]): number {
  if (join.runId !== run.runId) {
    throw new RefusedError("WRONG_RUN", `The join is for run ${join.runId}; this is run ${run.runId}.`);
  }
  const protocol = Math.min(join.protocolMax, protocolVersion.max);
  if (protocol < join.protocolMin || protocol < protocolVersion.min) {
    throw new RefusedError(
      "PROTOCOL_VERSION",
      `The worker speaks protocol ${join.protocolMin} to ${join.protocolMax}, this coordinator ${protocolVersion.min} to ${protocolVersion.max}: update the older of the two.`,
    );
  }
  const now = run.modules.clock.now();
  if (Math.abs(Number(join.issuedAt) - now) > JOIN_WINDOW_MS) {
    throw new RefusedError(
      "CLOCK_SKEW",
      `The join was issued at ${join.issuedAt} and it is ${now} here; they may differ by ${JOIN_WINDOW_MS / 60_000} minutes: set the clock.`,
    );
  }
  if (join.beneficiary === zeroAddress) {
    throw new RefusedError(
      "ZERO_BENEFICIARY",
      "The join names the address zero as its beneficiary, which can claim nothing: name a wallet's.",
    );
  }
  return protocol;
}

/** Notes whether the member asks to have claimed for whom it works for. @returns what it is told of that */
async function noteClaim({ claims }: Run, { join, claim }: JoinRequest): Promise<Pick<JoinReply, "claimFrom">> {
  if (claim !== undefined) await claims?.ask(join.worker, join.beneficiary, claim);
  return claims?.from === undefined ? {} : { claimFrom: claims.from.toString() };
}

/**
 * @param address the client's, by which the line for places is fair, and that for signatures
 * @throws RefusedError; RetryableError `SIGNATURES_BUSY`
 */
export async function acceptJoin(run: Run, request: JoinRequest, address: string): Promise<JoinReply> {
  const { join, signature, pass } = request;
  const struct = fromWire("Join", join);
  const protocol = checkWords(run, join);
  checkLease(request);
  // Whoever replays a join that he saw has no signature looked at for it, which takes longer.
  const { driver, presence } = run;
  const issuedAt = Number(join.issuedAt);
  const stale = staleJoin(driver.state, join) ?? presence.staleFormer(join.worker, issuedAt);
  if (stale) throw new RefusedError(stale.code, stale.message);
  // The signature is cheaper than a question to the chain, which anybody could have asked otherwise.
  const signed = { domain: run.domain, name: "Join", struct, signature, signer: join.worker } as const;
  await run.modules.signatures.require(signed, address);
  if (pass !== undefined) await requirePass(run, pass, address);
  // It left, or was evicted, and an acknowledgement may be missing that it can ask for still. What it may train matters no more.
  if (isOver(run) && !driver.state.members[join.worker])
    return {
      sessionKey: presence.openFormer(join.worker, issuedAt),
      protocol,
      heartbeatSeconds: presence.options.heartbeatSeconds,
    };
  const build = await run.builds.find(asDigest(join.build));
  if (!build) {
    throw new RefusedError(
      "BUILD_UNKNOWN",
      `Build ${join.build} is not admitted to this run; admitted are ${run.builds.known.join(", ")}.`,
    );
  }
  await requireAdmitted(run, request);
  const event = {
    type: "MemberJoined",
    join,
    signature,
    machineClass: machineClassOf(build, join.conformance),
    batch: batchOf(build),
    segmentSteps: build.segmentSteps,
    pace: request.stepMicros ?? null,
    restarted: presence.knows(join.worker),
    ...(pass !== undefined && { pass }),
  } as const;
  const refusal = refusalOf(driver.state, event);
  if (refusal && refusal.code !== "RUN_FULL") throw new RefusedError(refusal.code, refusal.message);
  const { state } = driver;
  if (
    !state.members[join.worker] &&
    !run.line.turn(join.worker, address, openPlaces(state), run.modules.clock.monotonic())
  ) {
    const full = runFull(state);
    throw new RefusedError(full.code, full.message);
  }
  await driver.submit(event);
  const claiming = await noteClaim(run, request);
  return {
    sessionKey: presence.open(join.worker),
    protocol,
    heartbeatSeconds: presence.options.heartbeatSeconds,
    ...claiming,
  };
}
