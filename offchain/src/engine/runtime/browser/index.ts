/** engine/runtime/browser: programs in a browser's page or worker. Start at devices.ts. */
export { devices } from "./devices.ts";
