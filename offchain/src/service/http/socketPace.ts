/**
 * How fast a socket's request comes in and its reply is read. What counts is how much comes and goes in how much time, so that a
 * slow link is let through.
 */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";

/** Bytes a second of a request that is coming on: a worker sends some fragments at a time, also by 20 kB a second. */
const LEAST_RATE = 2_048;
/** Who is this many ms behind that rate makes room; how many it may be ahead, for a link that stalls. */
const MOST_BEHIND = 1_000;
const MOST_AHEAD = 10_000;
/** Who took nothing of a reply for this many ms makes room, and for as long besides as what waits takes at {@link SLOW_LINK}. */
const MOST_UNREAD = 2_000;
/** Bytes a second of a slow link; what waits is one chunk or two of 64 KiB, each taken at once or not at all. */
const SLOW_LINK = 16 << 10;

/** A request in progress. */
export interface Current {
  readonly request: IncomingMessage;
  /** Of what TLS makes of the socket; a request that was given up names it no more. */
  readonly socket: Socket;
}

export interface Pace {
  /** When the request was looked at, and what the socket had received by then. */
  seenAt: number;
  seenBytes: number;
  /** Ms behind {@link LEAST_RATE} of all its requests while they came in; below zero ahead. */
  behind: number;
  /** What was taken of its replies by the last look, and since when no more was. */
  taken: number;
  takenAt: number;
}

export const newPace = (): Pace => ({ seenAt: 0, seenBytes: 0, behind: 0, taken: 0, takenAt: 0 });

/** A request begins; what its socket was behind before stays. */
export function beginPace(pace: Pace, socket: Socket, now: number): void {
  Object.assign(pace, { seenAt: now, seenBytes: socket.bytesRead, taken: takenOf(socket), takenAt: now });
}

/** One that was behind pays that back before its next request counts as one that comes on. */
export const isBehind = ({ behind }: Pace): boolean => behind > MOST_BEHIND;

/** Looks whether a request comes in too slowly, or nothing is taken of its reply. */
export function isSlow(pace: Pace, current: Current, now: number): boolean {
  return current.request.complete ? stalls(pace, current.socket, now) : lags(pace, current, now);
}

function lags(pace: Pace, { request, socket }: Current, now: number): boolean {
  const bytes = socket.bytesRead;
  // What has come and was not taken is no fault of the sender's.
  const elapsed = request.readableLength > 0 ? 0 : now - pace.seenAt;
  const behind = pace.behind + elapsed - ((bytes - pace.seenBytes) * 1_000) / LEAST_RATE;
  Object.assign(pace, { seenAt: now, seenBytes: bytes, behind: Math.max(behind, -MOST_AHEAD) });
  return isBehind(pace);
}

function stalls(pace: Pace, socket: Socket, now: number): boolean {
  const taken = takenOf(socket);
  if (taken > pace.taken || socket.writableLength === 0) Object.assign(pace, { taken, takenAt: now });
  return now - pace.takenAt > MOST_UNREAD + (socket.writableLength * 1_000) / SLOW_LINK;
}

/** How many bytes of a socket's replies the system took, which takes no more than the other end reads. */
const takenOf = ({ bytesWritten, writableLength }: Socket): number => bytesWritten - writableLength;
