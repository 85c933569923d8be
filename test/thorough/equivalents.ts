/**
 * Mutations of the contracts that change nothing that anybody could see, and why. The sweep tries them too, and fails where a
 * test notices one after all; `thorough.test.ts` fails where one is no longer in the sources.
 */
export const equivalents: Readonly<Record<string, string>> = {};
