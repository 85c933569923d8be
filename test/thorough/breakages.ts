/**
 * Defences taken out one at a time, as text: in a copy of the tree `text`, which stands once in `file`, becomes `instead`, and
 * at least one test of `tests` must fail. Whoever builds a defence adds its row to the file of its room in `breakages/`;
 * `test/thorough/thorough.test.ts` keeps the rows true to the sources.
 */
import type { Breakage } from "./breakages/breakage.ts";
import { base } from "./breakages/base.ts";
import { bootstrap } from "./breakages/bootstrap.ts";
import { chain } from "./breakages/chain.ts";
import { chainPosting } from "./breakages/chainPosting.ts";
import { cli } from "./breakages/cli.ts";
import { cliLines } from "./breakages/cliLines.ts";
import { cliQuorum } from "./breakages/cliQuorum.ts";
import { capital } from "./breakages/capital.ts";
import { claims } from "./breakages/claims.ts";
import { code } from "./breakages/code.ts";
import { community } from "./breakages/community.ts";
import { coordinator } from "./breakages/coordinator.ts";
import { coordinatorMachine } from "./breakages/coordinatorMachine.ts";
import { coordinatorPay } from "./breakages/coordinatorPay.ts";
import { coordinatorSessions } from "./breakages/coordinatorSessions.ts";
import { coordinatorUploads } from "./breakages/coordinatorUploads.ts";
import { data } from "./breakages/data.ts";
import { deploy } from "./breakages/deploy.ts";
import { devices } from "./breakages/devices.ts";
import { diloco } from "./breakages/diloco.ts";
import { disputes } from "./breakages/disputes.ts";
import { engine } from "./breakages/engine.ts";
import { engineRuntime } from "./breakages/engineRuntime.ts";
import { localnet } from "./breakages/localnet.ts";
import { market } from "./breakages/market.ts";
import { marketAuction } from "./breakages/marketAuction.ts";
import { marketIdle } from "./breakages/marketIdle.ts";
import { marketStarts } from "./breakages/marketStarts.ts";
import { marketLeases } from "./breakages/marketLeases.ts";
import { rentedRun } from "./breakages/rentedRun.ts";
import { revenue } from "./breakages/revenue.ts";
import { run } from "./breakages/run.ts";
import { runEpoch } from "./breakages/runEpoch.ts";
import { runProposals } from "./breakages/runProposals.ts";
import { runVerify } from "./breakages/runVerify.ts";
import { sdk } from "./breakages/sdk.ts";
import { service } from "./breakages/service.ts";
import { rollback } from "./breakages/rollback.ts";
import { takeUp } from "./breakages/takeUp.ts";
import { storage } from "./breakages/storage.ts";
import { treasury } from "./breakages/treasury.ts";
import { validator } from "./breakages/validator.ts";
import { watch } from "./breakages/watch.ts";
import { worker } from "./breakages/worker.ts";
import { wrong } from "./breakages/wrong.ts";

export type { Breakage };

/** Room by room, from the bottom. */
export const breakages: readonly Breakage[] = [
  ...base,
  ...engine,
  ...engineRuntime,
  ...devices,
  ...diloco,
  ...data,
  ...rollback,
  ...takeUp,
  ...storage,
  ...service,
  ...chain,
  ...chainPosting,
  ...claims,
  ...run,
  ...runEpoch,
  ...runProposals,
  ...runVerify,
  ...coordinatorMachine,
  ...coordinatorPay,
  ...coordinatorSessions,
  ...coordinatorUploads,
  ...coordinator,
  ...worker,
  ...validator,
  ...watch,
  ...wrong,
  ...market,
  ...marketAuction,
  ...marketIdle,
  ...marketStarts,
  ...marketLeases,
  ...rentedRun,
  ...community,
  ...localnet,
  ...cli,
  ...cliLines,
  ...cliQuorum,
  ...capital,
  ...revenue,
  ...code,
  ...disputes,
  ...bootstrap,
  ...treasury,
  ...sdk,
  ...deploy,
];
