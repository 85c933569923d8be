/**
 * The start script of a machine that joins a run: plain sh, which fetches the coordinator's own software, holds it against the digest
 * that stands in the script, and starts it. Passes come in variables, `JOIN_PASS_0` and on, one for each worker. What was fetched and
 * what workers keep lies in the cache, which outlives the container where the provider has one.
 */
import { MAX_PASSES } from "@cotrain/sdk/protocol";

import { shellWord } from "../../base/node/index.ts";

/** The variable of a pass; the number of the worker stands behind it. */
export const PASS_VARIABLE = "JOIN_PASS_";
/** Workers of a machine: an order has 64 variables. */
export const MOST_PASSES = MAX_PASSES;

interface JoinScript {
  /** Of the coordinator, without an end of /; what a URL class made, so that it holds nothing that a shell reads. */
  readonly coordinator: URL;
  readonly runId: string;
  /** Path of the software there. */
  readonly path: string;
  /** Header that carries a pass. */
  readonly header: string;
  readonly software: { readonly digest: string; readonly bytes: number };
}

export function joinScriptOf({ coordinator, runId, path, header, software: { digest, bytes } }: JoinScript): string {
  const base = coordinator.href.replace(/\/+$/, "");
  const hex = digest.slice(2);
  return `set -eu
umask 077
cache="\${JOIN_CACHE:-/cache}"
software="$cache/software/${hex}"
if [ ! -e "$software/whole" ]; then
  mkdir -p "$cache/software"
  rm -rf "$cache/software/part"
  mkdir "$cache/software/part"
  cd "$cache/software/part"
  # The pass goes through standard input: no list of processes shows it.
  printf 'header = "${header}: %s"\\n' "$${PASS_VARIABLE}0" | curl --config - --globoff --fail --silent --show-error --proto '=${coordinator.protocol.slice(0, -1)}' --max-filesize ${bytes} --max-time 900 --retry 8 --retry-connrefused --output fetched ${shellWord(base + path)}
  echo "${hex}  fetched" | sha256sum -c - >/dev/null
  mkdir tree
  tar -xzf fetched -C tree
  : >tree/whole
  rm -rf "$software"
  mv tree "$software"
  cd "$cache"
  rm -rf "$cache/software/part"
fi
env | sed -n 's/^${PASS_VARIABLE}[0-9]*=//p' >"$cache/passes"
cd "$software"
exec node deploy/bootstrap.mjs cotrain machine --coordinator ${shellWord(base)} --run ${runId} --passes "$cache/passes" --state "$cache/machine"
`;
}
