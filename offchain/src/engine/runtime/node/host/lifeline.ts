/**
 * A thread beside the engine that ends the process when the host is gone, even while ONNX Runtime blocks the main thread and
 * even after kill -9 of the host: then its end of the pipe closes. Imports nothing of ours, so that it watches at once.
 */
import { Socket } from "node:net";
import { parentPort } from "node:worker_threads";

const end = (): void => void process.kill(process.pid, "SIGKILL");
const pipe = new Socket({ fd: 0, readable: true, writable: false });
pipe.on("end", end);
pipe.on("close", end);
pipe.on("error", end);
pipe.resume();
parentPort?.postMessage("watching", []);
