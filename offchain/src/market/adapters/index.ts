/** All adapters, in the order of docs/market.md. Another provider is a row here and a file beside. */
import type { Adapter } from "../base/adapter.ts";
import { akash } from "./akash.ts";
import { fake } from "./fake.ts";
import { ionet } from "./ionet.ts";
import { lambda } from "./lambda.ts";
import { prime } from "./prime.ts";
import { runpod } from "./runpod.ts";
import { shadeform } from "./shadeform.ts";
import { vast } from "./vast.ts";

export const adapters: readonly Adapter[] = [fake, vast, runpod, lambda, prime, shadeform, ionet, akash];
