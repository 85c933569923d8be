/** Settings by flag, variable, file and default, and the words for a value that misses its schema. */
export * from "./schema.ts";
export * from "./settings.ts";
