/** Errors of ComputeEscrow. */
import { define, time } from "./define.ts";

export const ComputeEscrowBadNoticeError = define(
  "ComputeEscrowBadNotice",
  (notice, minimum, maximum) => `A lease's notice is from ${minimum} to ${maximum} seconds, not ${notice}.`,
);
export const ComputeEscrowBadPartiesError = define(
  "ComputeEscrowBadParties",
  (provider, signer) => `A lease has a provider and a signer, not ${provider} and ${signer}.`,
);
export const ComputeEscrowBadSignerError = define(
  "ComputeEscrowBadSigner",
  (leaseId, signed, signer) =>
    `The voucher is not signed by ${signer}, the signer of lease ${leaseId}: for this lease on this chain its signature is ${signed}'s.`,
);
export const ComputeEscrowBadTokenError = define(
  "ComputeEscrowBadToken",
  (token) => `${token} is no token: there is no code at that address.`,
);
export const ComputeEscrowClosesError = define(
  "ComputeEscrowCloses",
  (leaseId, closesAt) =>
    `The channel of lease ${leaseId} ends at ${time(closesAt)} and takes nothing in: open one for another lease.`,
);
export const ComputeEscrowLowGasError = define(
  "ComputeEscrowLowGas",
  (left, minimum) =>
    `Redeeming takes ${minimum} gas at least when it comes to pay, and has ${left} left: send it with more.`,
);
export const ComputeEscrowMayNotCloseError = define(
  "ComputeEscrowMayNotClose",
  (leaseId, caller) => `The channel of lease ${leaseId} is closed by its renter, signer or provider, not by ${caller}.`,
);
export const ComputeEscrowNoticeRunsError = define(
  "ComputeEscrowNoticeRuns",
  (leaseId, closesAt) => `The rest of lease ${leaseId} can be withdrawn from ${time(closesAt)} on.`,
);
export const ComputeEscrowNothingArrivedError = define(
  "ComputeEscrowNothingArrived",
  (leaseId) => `Nothing arrived in the channel of lease ${leaseId}: send more than the token keeps.`,
);
export const ComputeEscrowNotRenterError = define(
  "ComputeEscrowNotRenter",
  (caller, renter) => `The lease's channel is opened by its renter, ${renter}, not by ${caller}.`,
);
export const ComputeEscrowOpenError = define(
  "ComputeEscrowOpen",
  (leaseId) => `The channel of lease ${leaseId} is open: close it first.`,
);
export const ComputeEscrowOpenedBeforeError = define(
  "ComputeEscrowOpenedBefore",
  (leaseId) => `Lease ${leaseId} has had its channel: a lease has one; take another salt.`,
);
export const ComputeEscrowUnknownError = define(
  "ComputeEscrowUnknown",
  (leaseId) => `There is no channel of lease ${leaseId}, which is what these terms make.`,
);
