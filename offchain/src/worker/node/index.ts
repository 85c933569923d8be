/** worker/node: the worker as a daemon under Node: its state directory, its log, its device. Start at daemon.ts. */
export { workerDaemon } from "./daemon.ts";
export { directoryHome } from "./home.ts";
export { openReceiptJournal } from "./receiptJournal.ts";
