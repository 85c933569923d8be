/** What a stranger, or a member, does to sockets: for the attacks and for the bench that measures beside them. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

export interface SocketEnd {
  readonly port: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** The address it comes from; default any of this machine. */
  readonly from?: string | undefined;
}

/** A socket that sends some text and is then as it is. */
export async function openSocket({ port, host = "127.0.0.1", from }: SocketEnd, text = ""): Promise<Socket> {
  const socket = connect({ port, host, ...(from !== undefined && { localAddress: from }) });
  socket.on("error", () => undefined);
  await Promise.race([once(socket, "connect"), once(socket, "close")]);
  socket.write(text);
  return socket;
}

/** Asks for something large as often in a row on one socket as it may, so that no buffer of the kernel takes the answers. */
export const greedyRequests = (path: string): string => getOf(path).repeat(4);

export const getOf = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`;

/** A payload of int8 whose first block has no number as its scale: its digest and form are right, and only reading it tells. */
export function spoiled(payload: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const bytes = payload.slice();
  new DataView(bytes.buffer).setUint32(0, 0x7fc00000, true);
  return bytes;
}
