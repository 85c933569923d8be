/** Roots that were false and have paid, in words: whom they grant what, who signed them, and what is left to do. */
import { countOf, formatAddress, formatSharesExactly, wrap } from "../base/index.ts";
import type { PaidFalsely } from "../run/index.ts";

/** Accounts that people are shown of a root; the rest is counted. */
const SHOWN = 8;

const nameOf = ({ kind, index }: Pick<PaidFalsely, "kind" | "index">): string =>
  `root ${index}${kind === "revenue" ? " of revenue" : ""}`;

function epochsText({ fromEpoch, toEpoch }: PaidFalsely): string {
  return fromEpoch === toEpoch ? `epoch ${toEpoch}` : `epochs ${fromEpoch} to ${toEpoch}`;
}

/** What is wrong with it, in one sentence. */
function wrongText(root: PaidFalsely): string {
  const { kind, total, due, reason, digest } = root;
  const which = `FAIL   ${nameOf(root).replace("r", "R")} (${epochsText(root)}, attestation ${digest}) is false, and active`;
  if (kind === "revenue") return `${which}: by this chain, what it sets aside is to be shared out otherwise.`;
  const granted = `it pays ${formatSharesExactly(total)} shares`;
  if (due === null) return `${which}: ${granted}, and what it names makes no root. ${reason}`;
  const why = reason === "" ? "" : ` ${reason}`;
  if (due === total) return `${which}: it pays others than those who earned it.${why}`;
  return `${which}: ${granted} where ${formatSharesExactly(due)} were due.${why}`;
}

function accountLines({ accounts, kind }: PaidFalsely): string[] {
  if (accounts === null)
    return kind === "revenue"
      ? []
      : ["Whom it grants what is not published, so that who was paid shows in claims alone."];
  const shown = accounts.slice(0, SHOWN).map(({ account, granted, due }) => {
    const [more, less] = granted > due ? [granted - due, "more than"] : [due - granted, "less than"];
    const amounts = `${formatSharesExactly(granted)} for ${formatSharesExactly(due)}`;
    return `${formatAddress(account)} is granted ${formatSharesExactly(more)} ${less} was due (${amounts}).`;
  });
  const rest = accounts.length - shown.length;
  return rest > 0 ? [...shown, `And ${countOf(rest, "account")} more, all of them under --json.`] : shown;
}

const signersText = ({ signers, transaction }: PaidFalsely): string =>
  signers === null
    ? `Who signed it cannot be read from ${transaction}.`
    : `Signed by ${signers.map(formatAddress).join(", ")}.`;

/** What whoever holds shares can do about it. */
const REMEDY =
  'An active root cannot be disputed, and pays whoever claims. Holders can replace who signed it ("npx cotrain validators propose"), send from the treasury what is owed to whom it left short ("npx cotrain treasury pay"), and dispute the next one in its window: "npx cotrain watch --yes" does.';

/** One sentence for a root that is false, without its accounts. */
export const markText = (root: PaidFalsely): string =>
  `${wrongText(root).replace("FAIL   ", "")} "npx cotrain verify" says whom it grants what, and who signed it.`;

/** Of which false roots an account is granted something else than was due, as JSON. */
export const wrongPayOf = (roots: readonly PaidFalsely[], account: string) =>
  roots.flatMap(({ index, accounts }) =>
    (accounts ?? [])
      .filter((each) => each.account === account)
      .map(({ granted, due }) => ({ root: index, granted, due })),
  );

/** All of a false root, the first line marked. */
const paidFalselyLines = (root: PaidFalsely): string[] => [
  wrongText(root),
  ...[...accountLines(root), signersText(root)].map((line) => `       ${line}`),
];

/** All of the false roots, with what can be done. @param columns of the terminal */
export const falseRootsLines = (roots: readonly PaidFalsely[], columns: number): string[] =>
  roots.length === 0 ? [] : [...roots.flatMap(paidFalselyLines), ...wrap(REMEDY, columns)];
