/** Who is taken out of those who wait behind networks. */
import { expect, it } from "vitest";

import {
  emptyNetwork,
  type Network,
  type Path,
  putIn,
  takeFirst,
  takeLast,
} from "../../../../offchain/src/service/http/networks.ts";

function waiting(...entries: readonly [path: Path, one: number][]): Network<number> {
  const network = emptyNetwork<number>();
  for (const [path, one] of entries) putIn(network, path, one);
  return network;
}

it("the last of the fullest network goes first, of equally full ones of the last of them", () => {
  const network = waiting([["a", "x"], 1], [["a", "y"], 2], [["a", "x"], 3], [["b", "z"], 4]);
  expect([1, 2, 3, 4, 5].map(() => takeLast(network))).toEqual([3, 2, 4, 1, undefined]);
});

it("a network out of which the last was taken has no turn any more", () => {
  const network = waiting([["a"], 1], [["b"], 2]);
  expect(takeLast(network)).toBe(2);
  putIn(network, ["c"], 3);
  expect([1, 2, 3].map(() => takeFirst(network))).toEqual([1, 3, undefined]);
});
