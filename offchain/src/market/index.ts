/**
 * market: GPUs that others let: offers of many providers in one form, what of them fits, and clusters of them
 * for a run (`planner/`, pure), and leases of machines (`leases/`: what becomes of each is decided by pure functions). Money is in integers of a millionth of a dollar, in estimates in floats of it.
 * `base/` is what providers share, `adapters/` a table and mappings for each, `fake/` a provider whose machines are processes here. May import
 * base, engine, service, chain and run. Start at offer.ts, at base/adapter.ts for what a provider is, at catalogue.ts for how all of
 * them come together.
 */
export { type Catalogue, type CatalogueOptions, readCatalogue, type Source } from "./catalogue.ts";
export { diagnose, providerNames } from "./doctor.ts";
export { type Filter, rank, type Ranked, whyNot } from "./filters.ts";
export { gpuClasses, gpuModels, gpuOf } from "./gpus.ts";
export { dropKey, keepKey, keyedProviders, storedKeys } from "./keys.ts";
export { firstChoices } from "./firstChoice.ts";
export { CREATES_DAYS, createsIn, type CreatesOf } from "./creates.ts";
export { measuredIn, type MeasuredOf } from "./measured.ts";
export { microUsdOf } from "./money.ts";
export {
  auctioned,
  gpuText,
  isLimit,
  machineText,
  type Offer,
  offerPriceText,
  perGpuHour,
  priceText,
  whyNever,
} from "./offer.ts";
export { comparePrices, type PriceComparison } from "./prices.ts";
export { changeText, leftOf, type Proposal, proposalOf } from "./replan.ts";
export { requote, standIns } from "./requote.ts";
export { ASSUMED_MFU, usdPerBillionTokens } from "./speed.ts";
export { type CatalogueStore, openCatalogue, type PriceRange } from "./store.ts";
export { DRAWS, type Range } from "./planner/draws.ts";
export { assumptions } from "./planner/machines.ts";
export { modeNames } from "./planner/modes.ts";
export { type Plan, planOf, trainingRunOf } from "./planner/plan.ts";
export type { Goal, Task } from "./planner/search.ts";
export { keepPlan, type KeptPlan, readPlan } from "./plans.ts";
export { listSeen, type RentedAccount } from "./base/renting.ts";
export { type Renters, rentersOf } from "./renters.ts";
export { createWebhook, type Notice, webhookIn } from "./webhook.ts";
export { openFakeMachines, requireFakeMachines } from "./fake/machines.ts";
export { type FakeTotals, openFakeProvider } from "./fake/provider.ts";
export { costOf } from "./leases/cost.ts";
export type { Keeper, Prepared } from "./leases/keeper.ts";
export { keepLeases, type KeepingOptions } from "./leases/keeping.ts";
export { openLedger, type StoredLedger } from "./leases/ledger.ts";
export {
  hasLeases,
  type LeaseRequest,
  leaveRequest,
  readSign,
  signFileOf,
  USUAL_LEASES,
  writeSign,
} from "./leases/place.ts";
export { forgetPasses, type GivenPasses, notedPasses, notePasses } from "./leases/passes.ts";
export { defaultRules } from "./leases/rules.ts";
export { type Book, type ClusterSpec, isOpen, isSettled, type Lease, leasesOf, mayJoin } from "./leases/state.ts";
export { joinScriptOf, MOST_PASSES, PASS_VARIABLE } from "./base/joining.ts";
export { marketApi, marketStatuses } from "./marketApi.ts";
export { logOverSsh, MOST_LINES, shownLog } from "./logs.ts";
export { ownHost } from "./ownRenting.ts";
export { notedFor, requireKeyPair, requireSsh, shellCommandOf, type SshHost } from "./ssh.ts";
export { connectEscrow, machineChain } from "./community/chain.ts";
export { readListedOffer, readMachine } from "./community/offers.ts";
export { openLending } from "./community/lending.ts";
export { keptIn, Tenancy } from "./community/tenancy.ts";
export { createWatchdog } from "./leases/watchdog.ts";
