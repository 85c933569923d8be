/** How to run a program of this directory. */
import { fileURLToPath } from "node:url";

export const nodeArgs = (name: string, ...args: string[]): string[] => [
  "--conditions=cotrain-source",
  fileURLToPath(new URL(`./${name}.ts`, import.meta.url)),
  ...args,
];
