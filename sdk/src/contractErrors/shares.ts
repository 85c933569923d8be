/** Errors of OpenZeppelin's shares and votes. */
import { define, shares, time } from "./define.ts";

export const CheckpointUnorderedInsertionError = define(
  "CheckpointUnorderedInsertion",
  () => "A past vote cannot be rewritten.",
);
export const ERC20ExceededSafeSupplyError = define(
  "ERC20ExceededSafeSupply",
  (supply, cap) => `A supply of ${shares(supply)} is above the most that votes can count, ${shares(cap)}.`,
);
export const ERC20InsufficientAllowanceError = define(
  "ERC20InsufficientAllowance",
  (spender, allowance, needed) => `${spender} may spend ${shares(allowance)}, ${shares(needed)} are needed.`,
);
export const ERC20InsufficientBalanceError = define(
  "ERC20InsufficientBalance",
  (sender, balance, needed) => `${sender} has ${shares(balance)}, ${shares(needed)} are needed.`,
);
export const ERC20InvalidApproverError = define("ERC20InvalidApprover", (account) => `${account} cannot approve.`);
export const ERC20InvalidReceiverError = define("ERC20InvalidReceiver", (account) => `${account} cannot take shares.`);
export const ERC20InvalidSenderError = define("ERC20InvalidSender", (account) => `${account} cannot send shares.`);
export const ERC20InvalidSpenderError = define("ERC20InvalidSpender", (account) => `${account} cannot spend shares.`);
export const ERC2612ExpiredSignatureError = define(
  "ERC2612ExpiredSignature",
  (deadline) => `The permit's deadline ${time(deadline)} has passed.`,
);
export const ERC2612InvalidSignerError = define(
  "ERC2612InvalidSigner",
  (signer, owner) => `The permit is signed by ${signer}, not by ${owner}.`,
);
export const ERC5805FutureLookupError = define(
  "ERC5805FutureLookup",
  (timepoint, clock) => `Votes at ${time(timepoint)} are not known before that time; it is ${time(clock)}.`,
  true,
);
export const ERC6372InconsistentClockError = define(
  "ERC6372InconsistentClock",
  () => "The clock of these shares is inconsistent.",
);
export const InvalidAccountNonceError = define(
  "InvalidAccountNonce",
  (account, nonce) => `The signature's nonce is not ${account}'s current one, ${nonce}.`,
);
export const VotesExpiredSignatureError = define(
  "VotesExpiredSignature",
  (expiry) => `The delegation's signature expired at ${time(expiry)}.`,
);
