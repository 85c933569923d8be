/** Options of `cotrain up`. */
import { duration, integer, text, toggle, port } from "../../service/index.ts";
import {
  behindProxyOption,
  listenOptions,
  maxFeeOption,
  passphraseFileOption,
  publicRpcOption,
  retentionOptions,
  rpcOption,
  stateOption,
  walletOption,
} from "../../run/index.ts";

export const upOptions = {
  for: duration({ description: "how long to train; settling takes half a minute more", default: 180_000 }),
  vote: toggle({
    description: "whether the holders vote in this session (default: once, in the first of 1:30 or more)",
  }),
  yes: toggle({ description: "spend more than 0.1 coins on fees without asking, where coins cost", default: false }),
  exit: toggle({ description: "end after the summary instead of staying up", default: false }),
  fresh: toggle({ description: "put the old state aside and start anew", default: false }),
  state: stateOption,
  preset: text({ value: "name", description: "model preset of a new run: 0.1m, 1m, 3.5m or 20m", default: "1m" }),
  data: text({ value: "file", description: "text file to train on instead of the Brown corpus (new runs)" }),
  workers: integer(1, 64, { description: "workers on this machine", default: 3 }),
  rpc: rpcOption,
  maxFee: maxFeeOption,
  publicRpc: publicRpcOption,
  deployments: text({
    value: "directory",
    description: "directory that records deployments to public chains (default: deploy/deployments of this repository)",
  }),
  wallet: walletOption,
  passphraseFile: passphraseFileOption,
  chainPort: port({ description: "port of the embedded chain; a free one near it if it is taken", default: 8545 }),
  behindProxy: behindProxyOption,
  ...listenOptions,
  ...retentionOptions,
} as const;
