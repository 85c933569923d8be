import { describe, expect, it } from "vitest";

/** What each entry point exports at run time: a change here is a change of the public API, so look twice. */
const entries = {
  ".": () => import("@cotrain/sdk"),
  "./abis": () => import("@cotrain/sdk/abis"),
  "./actions": () => import("@cotrain/sdk/actions"),
  "./addresses": () => import("@cotrain/sdk/addresses"),
  "./base": () => import("@cotrain/sdk/base"),
  "./errors": () => import("@cotrain/sdk/errors"),
  "./ethers": () => import("@cotrain/sdk/ethers"),
  "./protocol": () => import("@cotrain/sdk/protocol"),
};

describe.each(Object.entries(entries))("%s", (_, load) => {
  it("exports what it did", async () => {
    expect(Object.keys(await load()).sort()).toMatchSnapshot();
  });
});

describe("the package", () => {
  it("exports from its root all that actions, addresses, errors and protocol have", async () => {
    const root = Object.keys(await entries["."]());
    const parts = await Promise.all(
      ["./actions", "./addresses", "./errors", "./protocol"].map((name) => entries[name as keyof typeof entries]()),
    );
    expect(new Set(root)).toEqual(new Set(parts.flatMap((part) => Object.keys(part))));
  });
});
