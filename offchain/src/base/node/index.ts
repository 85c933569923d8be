/** base/node: what of base needs Node: files, paths, command lines. Rooms that run in a browser never enter here. */
export * from "./commandLine.ts";
export * from "./files.ts";
export * from "./locations.ts";
export * from "./readers.ts";
