import { defineCommand } from "../command.ts";
import { localnetOptions } from "../../run/index.ts";
import { outlines } from "./outlines.ts";

/** `cotrain up`, what `npm start` calls. */
export const upCommand = defineCommand({
  ...outlines.up,
  options: localnetOptions,
  examples: [
    ["npm start", "three minutes of training on the Brown corpus, then a summary; again: train further"],
    ["npm start -- --for 45s --exit", "a short session that ends by itself"],
    ["npm start -- --fresh --data book.txt --preset 3.5m", "a new run of a larger model on your own text"],
    ["npm start -- --fresh --optimizer muon --schedule cosine --total-steps 5000", "a new run by other inner steps"],
    ["npx cotrain up --json --for 45s --exit", "the summary as JSON; npm start would print lines of its own before it"],
  ],
  run: async (context) => (await import("../up/up.ts")).up(context),
});
