/** Options that several commands share. */
import { formatEther } from "viem";

import { DEFAULT_MAX_FEE } from "../chain/index.ts";
import { choice, duration, hash, integer, port, real, size, text, url } from "../service/index.ts";

export const stateOption = text({
  value: "directory",
  description: "directory of the local state",
  default: ".cotrain",
});
export const configOption = text({ value: "file", description: "JSON file of settings" });
export const coordinatorOption = url({ description: "URL of the coordinator" });
export const rpcOption = url({ description: "JSON-RPC of an EVM chain" });
export const walletOption = text({ value: "file", description: "encrypted V3 keystore of the wallet to use" });
export const passphraseFileOption = text({
  value: "file",
  description: "file that holds the keystore's passphrase (mode 0600)",
});
export const runOption = hash({ value: "id", description: "id of the run (default: the only one there is)" });
export const deploymentOption = text({
  value: "file",
  description:
    "deployment.json that cotrain up wrote, or a record of deploy/deployments: chain id and contracts are taken from it",
});
export const maxFeeOption = real(0.000_001, 1_000_000, {
  value: "coins",
  description: "coins that the fees of one transaction may take, a quarter of them as its tip; a dearer one waits",
  default: Number(formatEther(DEFAULT_MAX_FEE)),
});
export const threadsOption = integer(1, 256, { description: "threads to compute with" });
export const logLevelOption = choice(["trace", "debug", "info", "warn", "error"], {
  description: "how much to log",
  default: "info",
});

export const behindProxyOption = text({
  value: "address",
  description: "address, or range such as 10.0.0.0/24, of a proxy that adds TLS: others are heard through it alone",
});

export const listenOptions = {
  host: text({
    value: "address",
    description: "address to listen on; beyond loopback it needs TLS or --behind-proxy",
    default: "127.0.0.1",
  }),
  port: port({ description: "port to listen on; a free one near it if it is taken", default: 7700 }),
  tlsCert: text({ value: "file", description: "PEM file of the TLS certificate" }),
  tlsKey: text({ value: "file", description: "PEM file of the TLS key" }),
} as const;

export const publicRpcOption = url({
  description: "JSON-RPC that joiners are told (default: the one in use, where its URL can hold no key)",
});

/** What the coordinator keeps for those who recompute a run from outside; without them its own defaults hold. */
export const retentionOptions = {
  keepPayloads: duration({
    description: "how long payloads stay after the root that pays for them became active (default: not longer)",
  }),
  keepCheckpoints: integer(1, 1_000_000, { description: "newest checkpoints that stay in any case (default: 8)" }),
  keepBytes: size({ description: "bytes of older checkpoints' shards that stay (default: 2GiB)" }),
} as const;
