/** Reads and writes of ComputeEscrow by name: a part of all.ts. */
import {
  allowEscrow,
  closeEscrow,
  escrowChannelOf,
  openEscrow,
  redeemVoucher,
  topUpEscrow,
  withdrawEscrow,
} from "./escrow.ts";

export const escrowReads = { escrowChannelOf };

export const escrowWrites = { allowEscrow, closeEscrow, openEscrow, redeemVoucher, topUpEscrow, withdrawEscrow };
