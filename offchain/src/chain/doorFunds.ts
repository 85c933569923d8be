/** Play money for fees on the embedded chain, which whoever has next to none may ask for. */
import { type Address, isAddress } from "viem";

import { systemClock } from "../base/index.ts";
import { type NodeLink, NodeError } from "./nodeLink.ts";

/** Gives an address play money for fees, where it has next to none: `[address]`. The door's own. */
export const FUND_METHOD = "cotrain_fund";
const FUND_BELOW = 10n ** 17n;
const FUND_TO = 10n ** 21n;
/** Accounts in a minute: each stays in the node's state. */
const FUNDED_A_MINUTE = 64;
/** Accounts that are given play money again where the node lost it. */
const MOST_GIVEN = 1_024;

export class DoorFunds {
  readonly #link: NodeLink;
  /** Who was given something, the last last. */
  readonly #given = new Set<Address>();
  /** When accounts were given something, in the last minute. */
  #times: readonly number[] = [];

  constructor(link: NodeLink) {
    this.#link = link;
  }

  /**
   * Only raises a balance, and only of who has next to nothing: more than its fees is of no use to anybody.
   * @param params of {@link FUND_METHOD}
   * @returns whether it gave something
   * @throws NodeError
   */
  async fund(params: unknown): Promise<boolean> {
    const [account] = Array.isArray(params) ? (params as unknown[]) : [];
    if (typeof account !== "string" || !isAddress(account, { strict: false }))
      throw new NodeError({ code: -32_602, message: `${FUND_METHOD} takes one address` });
    if (!(await this.#isPoor(account))) return false;
    const now = systemClock.monotonic();
    this.#times = this.#times.filter((at) => now - at < 60_000);
    if (this.#times.length >= FUNDED_A_MINUTE)
      throw new NodeError({ code: -32_005, message: `${FUND_METHOD} gives to ${FUNDED_A_MINUTE} accounts a minute` });
    this.#times = [...this.#times, now];
    await this.#give(account);
    this.#given.delete(account);
    this.#given.add(account);
    for (const first of this.#given) if (this.#given.size > MOST_GIVEN) this.#given.delete(first);
    return true;
  }

  /** Gives again what a node that was started again has lost. */
  async restore(): Promise<void> {
    for (const account of this.#given) if (await this.#isPoor(account)) await this.#give(account);
  }

  async #isPoor(account: Address): Promise<boolean> {
    return BigInt(String(await this.#link.request("eth_getBalance", [account, "latest"]))) < FUND_BELOW;
  }

  #give(account: Address): Promise<unknown> {
    return this.#link.request("anvil_setBalance", [account, `0x${FUND_TO.toString(16)}`]);
  }
}
