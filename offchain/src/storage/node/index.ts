/** storage/node: the door to blob stores, and the engines behind it. */
export { openBlobStore } from "./blobEngines.ts";
