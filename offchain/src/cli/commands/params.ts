import { boundsOf, currentParamsVersion, paramsOf } from "@cotrain/sdk/actions";
import {
  type ContractAddresses,
  parameterLabel,
  parameterText,
  type RunBounds,
  type RunId,
  type RunParams,
  runParameters,
  runParamsToWire,
} from "@cotrain/sdk/protocol";

import { UserError, wrap } from "../../base/index.ts";
import { type ChainConnection, connect } from "../../chain/index.ts";
import {
  namedRunOptions,
  openLocalRun,
  openRemoteRun,
  requireNamedDeployment,
  runNamed,
  withChain,
  workOn,
} from "../../run/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, type Output, table } from "../output.ts";
import { outlines } from "./outlines.ts";

/** What holders govern of a run, as RunRegistry has it. */
interface Governed extends RunBounds {
  readonly version: number;
  readonly params: RunParams;
}

/** All of one version: what is asked last is of the version that was asked first. */
async function governedOf({ call }: ChainConnection, addresses: ContractAddresses, runId: RunId): Promise<Governed> {
  const version = await call((client) => currentParamsVersion(client, { addresses, runId }));
  const [params, bounds] = await Promise.all([
    call((client) => paramsOf(client, { addresses, runId, version })),
    call((client) => boundsOf(client, { addresses, runId })),
  ]);
  return { version, params, ...bounds };
}

/** Names are the contract's, values are for people. */
const UNITS =
  "Contract and --json have the same values as integers: those named …Ppb in billionths, …Ppm in millionths, …Bps in ten-thousandths, minStake in wei.";

/** A row for each parameter; where a terminal has no room for it, value and bounds stand below its words. */
export function governedLines({ version, params, min, max }: Governed, columns: number): string[] {
  const rows = runParameters.map(({ name }) => {
    const text = (of: RunParams): string => parameterText(name, of[name]);
    const bounds = min[name] === max[name] ? "fixed" : `${text(min)} to ${text(max)}`;
    return { name, label: parameterLabel(name), value: text(params), bounds };
  });
  const wide = table([
    [`version ${version}`, "value", "may be", ""],
    ...rows.map(({ name, label, value, bounds }) => [name, value, bounds, label]),
  ]);
  const units = ["", ...wrap(UNITS, Math.min(columns, 100))];
  if (wide.every((line) => line.length <= columns)) return [...wide, ...units];
  return [
    `version ${version}`,
    ...rows.flatMap(({ name, label, value, bounds }) => [`${name}: ${label}`, `  ${value} (${bounds})`]),
    ...units,
  ];
}

function print(governed: Governed, output: Output): void {
  const { version, params, min, max } = governed;
  output.result(
    { version, params: runParamsToWire(params), min: runParamsToWire(min), max: runParamsToWire(max) },
    governedLines(governed, columnsOf(process.stdout)),
  );
}

/** `cotrain params`. */
export const paramsCommand = defineCommand({
  ...outlines.params,
  options: namedRunOptions,
  examples: [
    ["npx cotrain params", "the run of this directory, as its chain has it"],
    [
      "npx cotrain params --coordinator http://127.0.0.1:7700 --rpc http://127.0.0.1:8545 --deployment deployment.json",
      "somebody else's run, from the contracts that the file names",
    ],
  ],
  async run({ options, output }) {
    const { coordinator, rpc } = options;
    if (coordinator === undefined) {
      const run = runNamed(await openLocalRun(options.state), options.run);
      await requireNamedDeployment(run, options.deployment);
      const { addresses } = run.deployment;
      return withChain(run, async (chain) => print(await governedOf(chain, addresses, run.runId), output), rpc);
    }
    if (rpc === undefined)
      throw new UserError(
        "RPC_MISSING",
        "--coordinator needs --rpc: parameters are read from the contracts, not from a coordinator.",
      );
    const { runId, chainId, contracts } = await openRemoteRun({ ...options, coordinator });
    return workOn(await connect({ rpcUrl: rpc, chainId }), async (chain) =>
      print(await governedOf(chain, contracts, runId), output),
    );
  },
});
