/** Errors of CapitalSale. */
import { define } from "./define.ts";

export const CapitalSaleBadAccountError = define(
  "CapitalSaleBadAccount",
  (account) =>
    `Shares are sold neither to nor for ${account}: the model's treasury cannot buy them, what the sale or its vault got would be lost, and nobody is no account.`,
);
export const CapitalSaleBadTokenError = define("CapitalSaleBadToken", (token) =>
  BigInt(token) === 0n
    ? "A model without a capital token sells no shares: it has neither price nor minimum."
    : `There is no token at ${token} to sell shares for.`,
);
export const CapitalSaleLossError = define(
  "CapitalSaleLoss",
  (account, deposit, amount) =>
    `${account} would be paid back ${amount} of ${deposit}, since the token took the rest; it alone decides to take that.`,
);
export const CapitalSaleMinimumTooLowError = define(
  "CapitalSaleMinimumTooLow",
  (minimum, least) =>
    `An epoch that must bring in ${minimum} would sell nothing; at this price it is ${least} at least.`,
);
export const CapitalSaleNoneError = define(
  "CapitalSaleNone",
  (modelId) => `Model ${modelId} sells no shares: it has no capital token.`,
);
export const CapitalSaleNothingArrivedError = define(
  "CapitalSaleNothingArrived",
  () => "Nothing of the deposit arrived: send more, or look at what the token takes.",
);
export const CapitalSaleNothingForSaleError = define(
  "CapitalSaleNothingForSale",
  (epoch) => `Epoch ${epoch} has no budget for capital; the holders set it.`,
);
export const CapitalSaleNotRefundableError = define(
  "CapitalSaleNotRefundable",
  (modelId, epoch) =>
    `Epoch ${epoch} of model ${modelId} is not paid back: it lasts, can be settled or was, or nobody deposited in it.`,
);
export const CapitalSaleNotSettledError = define(
  "CapitalSaleNotSettled",
  (modelId, epoch) => `Epoch ${epoch} of model ${modelId} was not settled, so that no shares can be claimed.`,
);
export const CapitalSaleOtherEpochError = define(
  "CapitalSaleOtherEpoch",
  (epoch, current) =>
    `The deposit was for epoch ${epoch}, but this is epoch ${current}, which may have other terms; look at them and deposit anew.`,
  true,
);
export const CapitalSalePriceTooLowError = define(
  "CapitalSalePriceTooLow",
  (price, floor) => `A share cannot cost ${price}: the model's floor is ${floor}, for ever.`,
);
export const CapitalSaleShortError = define(
  "CapitalSaleShort",
  (balance, held) =>
    `The model's vault has ${balance} of ${held}, since its token took the rest: until somebody sends it that, nothing is deposited or settled; what is not settled within 30 days is paid back as far as it is there.`,
);
export const CapitalSaleTermsReplacedError = define(
  "CapitalSaleTermsReplaced",
  (modelId, replaces, latest) =>
    `The sale of model ${modelId} has terms ${latest} by now, and this decision replaces terms ${replaces}; propose it anew.`,
);
export const CapitalSaleTooLittleError = define(
  "CapitalSaleTooLittle",
  (account, amount, atLeast) =>
    `${account} would be paid back ${amount}, and ${atLeast} at the least was asked for: look at what the token took, and ask anew.`,
);
