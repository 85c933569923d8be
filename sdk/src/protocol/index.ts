/**
 * @cotrain/sdk/protocol: ids, digests, signed structs, documents, layouts and messages that coordinator, workers,
 * validators, contracts and dApps share. Browser-safe: no file, no socket, no Node API. Start at typedData.ts (what is
 * signed), documents.ts and epochDocuments.ts (what is published) and messages.ts (what is sent).
 */
export * from "./admission.ts";
export * from "./buildProposal.ts";
export * from "./canonicalJson.ts";
export * from "./client.ts";
export * from "./codes.ts";
export * from "./contribution.ts";
export * from "./digest.ts";
export * from "./documents.ts";
export * from "./epochDocuments.ts";
export * from "./epochs.ts";
export * from "./fields.ts";
export * from "./limits.ts";
export * from "./findRun.ts";
export * from "./head.ts";
export * from "./ids.ts";
export * from "./joinPass.ts";
export * from "./jsonBounds.ts";
export * from "./leases.ts";
export * from "./leaves.ts";
export * from "./machineOffers.ts";
export * from "./messages.ts";
export * from "./parameters.ts";
export * from "./params.ts";
export * from "./revenue.ts";
export * from "./routes.ts";
export * from "./screening.ts";
export * from "./session.ts";
export * from "./table.ts";
export * from "./typedData.ts";
export * from "./verdicts.ts";
