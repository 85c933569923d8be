/** A server's certificate and key. */
import { createSecureContext } from "node:tls";

import { UserError } from "../../base/index.ts";
import { readFileBounded } from "../../base/node/index.ts";

const MAX_PEM_BYTES = 1 << 20;

/** Certificate and key in PEM. */
export interface Tls {
  readonly cert: string;
  readonly key: string;
}

async function readPem(file: string, flag: string): Promise<string> {
  const bytes = await readFileBounded(file, MAX_PEM_BYTES).catch((error: unknown) => {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(error.code, `${error.message.replace(/\.$/, "")}: name a PEM file with ${flag}.`, {
      cause: error,
    });
  });
  return new TextDecoder().decode(bytes);
}

/**
 * Reads certificate and key and checks that they belong together.
 * @throws UserError `TLS_INVALID`, `FILE_UNREADABLE`
 */
export async function loadTls(certFile: string | undefined, keyFile: string | undefined): Promise<Tls | undefined> {
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined) {
    throw new UserError("TLS_INVALID", "TLS takes both --tls-cert and --tls-key, or neither.");
  }
  const [cert, key] = await Promise.all([readPem(certFile, "--tls-cert"), readPem(keyFile, "--tls-key")]);
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw new UserError(
      "TLS_INVALID",
      `${certFile} and ${keyFile} are not a certificate and its key in PEM: name those that belong together with --tls-cert and --tls-key.`,
      {
        cause: error,
      },
    );
  }
  return { cert, key };
}
