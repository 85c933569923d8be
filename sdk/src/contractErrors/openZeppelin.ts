/** Errors of what OpenZeppelin builds contracts of. */
import { define } from "./define.ts";

export const AddressEmptyCodeError = define("AddressEmptyCode", (target) => `There is no contract at ${target}.`);
export const ECDSAInvalidSignatureError = define("ECDSAInvalidSignature", () => "A signature is malformed.");
export const ECDSAInvalidSignatureLengthError = define(
  "ECDSAInvalidSignatureLength",
  (length) => `A signature has 65 bytes, not ${length}.`,
);
export const ECDSAInvalidSignatureSError = define(
  "ECDSAInvalidSignatureS",
  () => "A signature has its s in the upper half of the curve's order; only the lower is allowed.",
);
export const FailedCallError = define("FailedCall", () => "A call to another contract failed without a reason.");
export const FailedDeploymentError = define(
  "FailedDeployment",
  () => "A contract could not be made; one may exist at its address already.",
);
export const InsufficientBalanceError = define(
  "InsufficientBalance",
  (balance, needed) => `The contract has ${balance} wei, ${needed} are needed.`,
);
export const InvalidInitializationError = define(
  "InvalidInitialization",
  () => "The contract has been initialised already.",
);
export const InvalidShortStringError = define("InvalidShortString", () => "A stored text is malformed.");
export const NotInitializingError = define("NotInitializing", () => "This can be done only during initialisation.");
export const ReentrancyGuardReentrantCallError = define(
  "ReentrancyGuardReentrantCall",
  () => "The token called back in the middle of a payment, which is refused.",
);
export const SafeCastOverflowedUintDowncastError = define(
  "SafeCastOverflowedUintDowncast",
  (bits, value) => `${value} does not fit into ${bits} bits.`,
);
export const SafeERC20FailedOperationError = define(
  "SafeERC20FailedOperation",
  (token) => `Token ${token} refused the transfer.`,
);
export const StringsInsufficientHexLengthError = define(
  "StringsInsufficientHexLength",
  (value, length) => `${value} has more than ${length} bytes.`,
);
export const StringTooLongError = define("StringTooLong", (text) => `The text "${text}" is longer than 31 bytes.`);
