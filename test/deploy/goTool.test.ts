/** What `.ci/run` does for a geth, and for Kubo likewise, with a `go` that writes down what it was told. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { GETH } from "../geth.ts";
import { prepareTool } from "../goTool.ts";
import { KUBO } from "../kubo.ts";
import { canRun } from "../needs.ts";

let directory: string;
let folder: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cotrain-geth-"));
  folder = join(directory, "bin");
  vi.stubEnv("GETH", undefined);
  vi.stubEnv("CI", undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true, force: true });
});

function script(name: string, body: string): string {
  const file = join(directory, name);
  writeFileSync(file, `#!/bin/sh\n${body}\n`);
  chmodSync(file, 0o755);
  return file;
}
/** A `go` whose `install` leaves a geth of this version. */
const goThatBuilds = (version: string): string =>
  script(
    "go",
    `[ "$1" = version ] && exit 0
echo "$@" >> ${directory}/told
printf '#!/bin/sh\\nprintf "Geth\\\\nVersion: ${version}-stable\\\\n"\\n' > "$GOBIN/geth"
chmod +x "$GOBIN/geth"`,
  );

// foundation 17
describe.runIf(process.platform !== "win32")("geth for CI", () => {
  it("is built once, from its Go module in the version that is pinned", () => {
    const go = goThatBuilds(GETH.version);
    expect(prepareTool(GETH, folder, go)).toMatchObject({
      kind: "ready",
      words: expect.stringMatching(/was built in \d+ s/),
    });
    expect(prepareTool(GETH, folder, go)).toEqual({ kind: "ready", words: `geth ${GETH.version} is there.` });
    expect(readFileSync(join(directory, "told"), "utf8")).toBe(
      `install github.com/ethereum/go-ethereum/cmd/geth@v${GETH.version}\n`,
    );
  });

  it("is built anew where another version lies", () => {
    prepareTool(GETH, folder, goThatBuilds("1.0.0"));
    expect(prepareTool(GETH, folder, goThatBuilds(GETH.version))).toMatchObject({ kind: "ready" });
  });

  it("says why it is not there: no Go, or a build that failed", () => {
    expect(prepareTool(GETH, folder, join(directory, "nothing"))).toEqual({
      kind: "not run",
      words: 'not run: building geth: "go" is not installed.',
    });
    vi.stubEnv("CI", "true");
    expect(prepareTool(GETH, folder, join(directory, "nothing"))).toEqual({
      kind: "failed",
      words: 'geth must run in CI and cannot be built: "go" is not installed.',
    });
    expect(prepareTool(KUBO, folder, join(directory, "nothing"))).toMatchObject({ kind: "not run" });
    expect(existsSync(folder)).toBe(false);
    expect(prepareTool(GETH, folder, script("go", '[ "$1" = version ]'))).toMatchObject({ kind: "failed" });
    expect(prepareTool(GETH, folder, goThatBuilds("1.0.0"))).toMatchObject({ kind: "failed" });
  });
});

// foundation 17
describe("what a test needs and the machine lacks", () => {
  it("has it left out with the reason, and in CI fails with one sentence", () => {
    const told = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    vi.stubEnv("PATH", directory);
    expect(canRun("HTTPS", "openssl")).toBe(false);
    vi.stubEnv("CI", "true");
    expect(() => canRun("HTTPS", "openssl")).toThrow('HTTPS must run in CI and cannot: "openssl" is not installed.');
    vi.stubEnv("HOME", directory);
    expect(canRun("blobs in a real Kubo", "kubo")).toBe(false);
    const lines = told.mock.calls.map(([text]) => String(text));
    told.mockRestore();
    expect(lines[0]).toBe('not run: HTTPS: "openssl" is not installed\n');
    expect(lines).toHaveLength(2);
  });
});
