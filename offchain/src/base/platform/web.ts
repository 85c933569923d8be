/** In a browser: hashes in JavaScript, since the web's own take no pieces. */
import { blake3 } from "@noble/hashes/blake3";
import { sha256 } from "@noble/hashes/sha2";

import type { Platform } from "./port.ts";

export const platform: Platform = {
  sha256: () => sha256.create(),
  blake3: () => blake3.create({}),
  // A message, because browsers hold timers back.
  turn: () =>
    new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.addEventListener("message", () => {
        port1.close();
        resolve();
      });
      port1.start();
      port2.postMessage(null);
    }),
};
