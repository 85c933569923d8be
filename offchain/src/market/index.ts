/**
 * market: GPUs that others let: offers of many providers in one form, and what of them fits. Planner and leases follow. Money is in
 * integers of a millionth of a dollar throughout. `base/` is what providers share, `adapters/` a table and mappings for each. May
 * import base, service, chain and run. Start at offer.ts, at base/adapter.ts for what a provider is, at catalogue.ts for how all of
 * them come together.
 */
export { type Catalogue, readCatalogue, type Source } from "./catalogue.ts";
export { diagnose, providerNames } from "./doctor.ts";
export { type Filter, rank, type Ranked } from "./filters.ts";
export { gpuClasses, gpuModels, gpuOf } from "./gpus.ts";
export { microUsdOf } from "./money.ts";
export { machineText, perGpuHour, priceText } from "./offer.ts";
export { ASSUMED_MFU, usdPerBillionTokens } from "./speed.ts";
export { openCatalogue, type PriceRange } from "./store.ts";
