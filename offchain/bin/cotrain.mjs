#!/usr/bin/env node
import { run } from "../../deploy/bootstrap.mjs";

run("cotrain", process.argv.slice(2));
