/**
 * The unmodified geth that `test/e2e/geth.test.ts` runs on: `.ci/run` builds it before the part that needs it. $GETH names
 * another.
 */
import type { GoTool } from "./goTool.ts";

export const GETH: GoTool = {
  name: "geth",
  command: "geth",
  module: "github.com/ethereum/go-ethereum/cmd/geth",
  version: "1.17.10",
  variable: "GETH",
  required: true,
  asked: { args: ["version"], answer: /^Version: (\S+?)(-stable)?$/m },
};
