/** What follows from the table of parameters: bounds, encoding, JSON form, check and texts; and what a round obeys. */
import { Type } from "typebox";
import { encodeAbiParameters, type Hex } from "viem";
import { ProtocolError } from "../baseErrors.ts";
import { nameOfCode } from "./codes.ts";
import { closed } from "./fields.ts";
import { type Parameter, runParameterRules, runParameters, runParameterUnits, type RunParams } from "./parameters.ts";
import { wireTypes } from "./wireTypes.ts";

const rows: readonly Parameter[] = runParameters;
const column = (of: "min" | "default" | "max") =>
  Object.fromEntries(rows.map((row) => [row.name, row[of]])) as unknown as RunParams;

/** What a run begins with and is bounded by for ever, unless its organiser chooses otherwise. */
export const defaultRunParams: RunParams = column("default");
export interface RunBounds {
  readonly min: RunParams;
  readonly max: RunParams;
}
export const defaultRunBounds: RunBounds = { min: column("min"), max: column("max") };

/** abi.encode of the struct. */
export function encodeRunParams(params: RunParams): Hex {
  return encodeAbiParameters([{ type: "tuple", components: runParameters }], [params]);
}

/** JSON form: what is wider than 32 bits as a decimal string. */
export type WireRunParams = { readonly [K in keyof RunParams]: RunParams[K] extends bigint ? string : number };

export const RunParamsWire = Type.Unsafe<WireRunParams>(
  Type.Object(Object.fromEntries(rows.map(({ name, type }) => [name, wireTypes[type]])), closed),
);

export const runParamsToWire = (params: RunParams): WireRunParams =>
  Object.fromEntries(
    Object.entries(params).map(([name, value]) => [name, typeof value === "bigint" ? String(value) : value]),
  ) as unknown as WireRunParams;
export const runParamsFromWire = (wire: WireRunParams): RunParams =>
  Object.fromEntries(
    Object.entries(wire).map(([name, value]) => [name, typeof value === "string" ? BigInt(value) : value]),
  ) as unknown as RunParams;

/** H of a round (0-based): the ramp's, then the run's. */
export const innerStepsOf = (
  params: Pick<RunParams, "innerSteps" | "rampInnerSteps" | "rampRounds">,
  round: number,
): number => (round < params.rampRounds ? params.rampInnerSteps : params.innerSteps);

/** Outer learning rate and momentum of a round: plain averaging in the ramp. Both in ppm. */
export function outerHyperparametersOf(
  params: Pick<RunParams, "rampRounds" | "outerLrPpm" | "outerMomentumPpm">,
  round: number,
): { lrPpm: number; momentumPpm: number } {
  if (round < params.rampRounds) return { lrPpm: 1_000_000, momentumPpm: 0 };
  return { lrPpm: params.outerLrPpm, momentumPpm: params.outerMomentumPpm };
}

function refuse(name: keyof RunParams, params: RunParams, allowed: string): never {
  const { codes } = rowOf(name);
  const value = (codes && nameOfCode(codes, Number(params[name]))) ?? params[name];
  throw new ProtocolError("INVALID_PARAMS", `${name} is ${value}; ${allowed}.`);
}

/** What bounds leave of a parameter: of one that stands for words the words. */
function allowedBy(name: keyof RunParams, { min, max }: RunBounds): string {
  const { codes } = rowOf(name);
  if (!codes) return `it must lie from ${min[name]} to ${max[name]}`;
  const words = Object.entries(codes).filter(([, code]) => code >= min[name] && code <= max[name]);
  return `this run allows ${words.map(([word]) => word).join(", ")} alone`;
}

/**
 * The rules of RunRegistry: within the run's bounds, where they are given, and fitting together.
 * @throws ProtocolError INVALID_PARAMS
 */
export function checkRunParams(params: RunParams, fragments: number, bounds?: RunBounds): void {
  for (const { name } of runParameters) {
    const value = params[name];
    if (bounds && (value < bounds.min[name] || value > bounds.max[name])) refuse(name, params, allowedBy(name, bounds));
  }
  for (const { of, holds, words } of runParameterRules)
    if (!holds(params, fragments)) refuse(of, params, `in a run of ${fragments} fragments it must be ${words}`);
  for (const row of runParameters)
    if ("limit" in row && params[row.name] > row.limit) refuse(row.name, params, `it must be at most ${row.limit}`);
}

const rowOf = (name: keyof RunParams): Parameter => rows.find((row) => row.name === name)!;

/** What people call a parameter, behind its value where that is given. */
export function parameterLabel(name: keyof RunParams, value?: number | bigint): string {
  const { label, labelOfOne = label } = rowOf(name);
  return value === 1 ? labelOfOne : label;
}

/** A parameter's value as people read it. */
export function parameterText(name: keyof RunParams, value: number | bigint): string {
  const { codes, unit } = rowOf(name);
  return (codes && nameOfCode(codes, Number(value))) ?? runParameterUnits[unit](value);
}

/** What a change of parameters changes: "72 → 96 inner steps per round". */
export function parametersChange(before: RunParams, after: RunParams): string {
  const changed = runParameters.filter(({ name }) => before[name] !== after[name]);
  return changed
    .map(({ name }) => {
      const value = after[name];
      return `${parameterText(name, before[name])} → ${parameterText(name, value)} ${parameterLabel(name, value)}`;
    })
    .join(", ");
}
