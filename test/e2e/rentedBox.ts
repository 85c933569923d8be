/**
 * A machine of one's own on which containers do run: what is ordered runs in a shell, by the script and the variables of its order, with
 * a cache that stays. Its `npm` installs what this tree has already: not by names that lead there, since
 * engines may read their own tree alone.
 */
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { type OwnBox, ownBox } from "../offchain/market/renting/ownBox.ts";
import { root } from "./harness.ts";

/** The container is a process, whose number and label are in files. */
const DOCKER = `#!/bin/sh
cd "$HOME" || exit 1
alive() { [ -e process ] && kill -0 "$(cat process)" 2>/dev/null; }
case "$1" in
pull) ;;
run)
  value() { echo "$all" | sed -n "s/.*$1 \\\\([^ ]*\\\\).*/\\\\1/p"; }
  all="$*"
  label=$(echo "$all" | sed 's/.*--label cotrain=\\([^ ]*\\).*/\\1/')
  environment=$(value --env-file)
  start=$(echo "$all" | sed 's/.*--volume \\([^ ]*\\):\\/start.sh:ro.*/\\1/')
  cache=$(echo "$all" | sed 's/.*--volume \\([^ ]*\\):\\/cache.*/\\1/')
  cp "$environment" "environment.$label"
  cp "$start" "start.$label"
  (
    while IFS= read -r line; do export "$line"; done <"$environment"
    export JOIN_CACHE="$cache"
    exec setsid sh "$start" >container.log 2>&1 </dev/null
  ) &
  echo $! >process
  echo "$label" >container
  echo c0ffee;;
ps)
  [ -e container ] || exit 0
  state=exited
  if alive; then state=running; fi
  case "$*" in
  *--quiet*label=*) if [ "$(cat container)" = "\${5#label=cotrain=}" ]; then echo c0ffee; fi;;
  *--quiet*) echo c0ffee;;
  *) echo "cotrain: $(cat container) $state";;
  esac;;
rm)
  if alive; then kill -TERM "$(cat process)"; while alive; do sleep 0.2; done; fi
  rm -f container process;;
esac
`;

const npm = (): string => `#!/bin/sh
[ "$1" = ci ] || exit 1
copy() { cp -al "$1" "$2" 2>/dev/null || { rm -rf "$2"; cp -a "$1" "$2"; }; }
copy "${root}/node_modules" node_modules
rm -rf node_modules/.cache node_modules/.cotrain-installed
if [ -d "${root}/offchain/node_modules" ]; then copy "${root}/offchain/node_modules" offchain/node_modules; fi
`;

export interface RentedBox extends OwnBox {
  readonly isRunning: () => boolean;
  /** What the container said. */
  readonly log: () => string;
  /** Of the order of that label. */
  readonly environment: (label: string) => Readonly<Record<string, string>>;
}

/** @param usdPerHour what the file of machines says that it costs */
export function rentedBox(usdPerHour: string): RentedBox {
  const box = ownBox();
  for (const [name, text] of Object.entries({ docker: DOCKER, npm: npm() })) {
    writeFileSync(join(box.home, "bin", name), text);
    chmodSync(join(box.home, "bin", name), 0o755);
  }
  const file = JSON.parse(box.read("machines.json")) as { machines: Record<string, unknown>[] };
  box.write("machines.json", JSON.stringify({ machines: file.machines.map((each) => ({ ...each, usdPerHour })) }));
  return {
    ...box,
    isRunning: () => existsSync(join(box.home, "container")),
    log: () => (existsSync(join(box.home, "container.log")) ? box.read("container.log") : ""),
    environment: (label) =>
      Object.fromEntries(
        readFileSync(join(box.home, `environment.${label}`), "utf8")
          .split("\n")
          .filter((line) => line !== "")
          .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
      ),
  };
}
