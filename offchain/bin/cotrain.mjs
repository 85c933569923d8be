#!/usr/bin/env node
import { run } from "../../deploy/bootstrap.mjs";

await run("cotrain", process.argv.slice(2));
