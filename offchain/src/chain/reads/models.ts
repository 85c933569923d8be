/** What the contracts know of a model: its own contracts, epochs and validators. */
import {
  authorisable,
  budgetOf,
  currentSetVersion,
  deploymentWiring,
  escrowWiring,
  distributorsOf,
  foundersOf,
  organiserOf,
  bootstrapClaimed,
  bootstrapNeeded,
  bootstrapOf,
  bootstrapTerms,
  misWired,
  modelContractsOf,
  modelWiring,
  scheduleOf,
  setOf,
} from "@cotrain/sdk/actions";
import { asAddress, endOfEpoch, epochAt, type ModelId, rewardKind } from "@cotrain/sdk/protocol";

import { UserError } from "../../base/index.ts";
import { memo, memo2 } from "../agreed.ts";
import type { ChainReader, ModelSchedule, ValidatorSetView } from "../ports.ts";
import type { ReadFrom } from "./events.ts";

const FULL_BPS = 10_000n;

const wrongWires = async (
  { call, addresses, escrow }: Pick<ReadFrom["connection"], "call"> & Pick<ReadFrom, "addresses" | "escrow">,
  modelId: ModelId,
) =>
  misWired([
    ...(await call((chain) => deploymentWiring(chain, { addresses }))),
    ...(await call((chain) => modelWiring(chain, { addresses, modelId }))),
    ...(escrow === undefined ? [] : await call((chain) => escrowWiring(chain, { escrow }))),
  ]);

export function readModels({ connection: { call }, addresses, escrow }: ReadFrom) {
  const schedule = memo(async (modelId: ModelId): Promise<ModelSchedule> => {
    const found = await call((chain) => scheduleOf(chain, { addresses, modelId }));
    if (found.start === 0)
      throw new UserError("MODEL_UNKNOWN", `There is no model ${modelId} in the registry ${addresses.modelRegistry}.`);
    return found;
  });
  const sets = memo2(async (modelId: ModelId, version: number): Promise<ValidatorSetView> => {
    const found = await call((chain) => setOf(chain, { addresses, modelId, version }));
    return { version, validators: found.validators.map(asAddress), threshold: found.threshold };
  });
  return {
    modelContracts: (modelId) => call((chain) => modelContractsOf(chain, { addresses, modelId })),
    distributors: () => call((chain) => distributorsOf(chain, { addresses })),
    founders: (modelId) => call((chain) => foundersOf(chain, { addresses, modelId })),
    bootstrap: async (modelId) => {
      const bootstrap = await call((chain) => bootstrapOf(chain, { addresses }));
      const asked = { bootstrap, modelId };
      const { endedAt, epochs, maxEpochs } = await call((chain) => bootstrapTerms(chain, asked));
      if (endedAt !== 0) return undefined;
      const [organiser, claimed, needed] = await call((chain) =>
        Promise.all([
          organiserOf(chain, { addresses, modelId }),
          bootstrapClaimed(chain, asked),
          bootstrapNeeded(chain, asked),
        ]),
      );
      const latest = endOfEpoch(await schedule(modelId), maxEpochs);
      return { organiser: asAddress(organiser), claimed, needed, epochs, latest };
    },
    wrongWires: (modelId) => wrongWires({ call, addresses, escrow }, modelId),
    schedule,
    epochOf: async (modelId, time) => epochAt(await schedule(modelId), time),
    epochEnd: async (modelId, epoch) => endOfEpoch(await schedule(modelId), epoch),
    computeBudget: (modelId, epoch, asOf) => {
      const one = { from: BigInt(epoch), to: BigInt(epoch) };
      return call((chain) => authorisable(chain, { addresses, modelId, kind: rewardKind.compute, ...one, asOf }));
    },
    epochBudget: async (modelId, epoch) => {
      const budget = await call((chain) => budgetOf(chain, { addresses, modelId, epoch: BigInt(epoch) }));
      return (budget.perEpoch * BigInt(budget.computeBps)) / FULL_BPS;
    },
    validators: async (modelId, version) => {
      const wanted = version ?? (await call((chain) => currentSetVersion(chain, { addresses, modelId })));
      if (wanted === 0)
        throw new UserError("MODEL_UNKNOWN", `Model ${modelId} has no validators in ${addresses.validatorSet}.`);
      return sets(modelId, wanted);
    },
  } satisfies Partial<ChainReader>;
}
