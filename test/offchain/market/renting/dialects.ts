/** The dialects of providers that let machines, one each. */
import { akash } from "./dialects/akash.ts";
import { fake } from "./dialects/fake.ts";
import { ionet } from "./dialects/ionet.ts";
import { lambda } from "./dialects/lambda.ts";
import { prime } from "./dialects/prime.ts";
import { runpod } from "./dialects/runpod.ts";
import { shadeform } from "./dialects/shadeform.ts";
import { vast } from "./dialects/vast.ts";

export const dialects = [fake, vast, runpod, lambda, prime, shadeform, ionet, akash];
