/**
 * Imported before ONNX Runtime wherever that is: from 1.29 on its packages report what they run to their maker and keep an
 * identifier in the home directory, unless the environment forbids it before the library is loaded (microsoft/onnxruntime,
 * docs/Privacy.md). Threads have their own copy of the environment, so the thread that starts them imports it too.
 */
process.env["ORT_DISABLE_TELEMETRY"] = "1";
