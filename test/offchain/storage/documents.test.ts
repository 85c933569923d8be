/** Documents that describe a run and its rounds: what does not say it in the one way that there is to say it is none. */
import { expect, it } from "vitest";

import { parseBuild, parseDefinition, parseScreening } from "../../../offchain/src/storage/index.ts";

// foundation 2
it.each(Object.entries({ parseDefinition, parseBuild, parseScreening }))(
  "%s takes canonical JSON alone, before it looks at what is said",
  (_, parse) => {
    const code = (text: string): unknown => {
      try {
        parse(new TextEncoder().encode(text));
      } catch (error) {
        return (error as { readonly code?: unknown }).code;
      }
      return undefined;
    };
    expect(code('{"version":1}')).toBe("MALFORMED_DOCUMENT");
    for (const text of ['{"version": 1}', '{"version":1}\n', '{"version":1.0}', '{"b":0,"a":0}'])
      expect([text, code(text)]).toEqual([text, "JSON_NOT_CANONICAL"]);
  },
);
