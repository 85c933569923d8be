/**
 * A machine of one's own, or of a cloud, over SSH: its scripts run in a shell here, with a Docker that notes what it is told, behind an
 * `ssh` that notes its arguments. Both are first on the path of what is tested.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { temporaryDirectory } from "../../cli/support.ts";

/** The container is a file, `label state`. What is pulled waits at a gate where there is one, and a hook stands for what comes meanwhile. */
const DOCKER = `#!/bin/sh
cd "$HOME" || exit 1
case "$1" in
pull) if [ -p gate ]; then cat gate; fi; if [ -e refused ]; then echo "no such image" >&2; exit 1; fi;;
run)
  if [ -e hook ]; then . ./hook; fi
  echo "$@" >ran
  label=$(echo "$@" | sed 's/.*--label cotrain=\\([^ ]*\\).*/\\1/')
  if [ -e stuck ]; then
    echo "$label created" >container
    printf 'docker: no GPU here\n\nRun docker run --help for more\n' >&2
    exit 125
  fi
  echo "$label running" >container;;
ps) case "$*" in
  *--quiet*label=*) if grep -q "^\${5#label=cotrain=} " container 2>/dev/null; then echo c0ffee; fi;;
  *--quiet*) if [ -e container ]; then echo c0ffee; fi;;
  *) if [ -e container ]; then sed 's/^/cotrain: /' container; fi;;
  esac;;
logs) tail -n "$3" printed 2>/dev/null;;
rm) rm container;;
esac
`;

/** Whatever is started through it holds the pipe `alive` open, where there is one, until it ends. */
const ssh = (home: string): string => `#!/bin/sh
if [ "$1" = -V ]; then exit 0; fi
echo "$@" >>"${home}/arguments"
for last; do :; done
if [ -e "${home}/fault" ]; then . "${home}/fault"; fi
if [ -p "${home}/alive" ]; then exec 3>"${home}/alive"; fi
echo "Welcome to this machine."
HOME="${home}" exec sh -c "$last"
`;

export interface OwnBox {
  readonly home: string;
  /** The file of machines, which has it alone. */
  readonly machines: string;
  /** With its programs before all others. */
  readonly path: string;
  readonly read: (name: string) => string;
  readonly write: (name: string, text: string) => void;
}

export function ownBox(): OwnBox {
  const home = temporaryDirectory();
  const [bin, machines] = [join(home, "bin"), join(home, "machines.json")];
  mkdirSync(bin);
  const write = (name: string, text: string): void => writeFileSync(join(home, name), text);
  for (const [name, text] of Object.entries({ docker: DOCKER, ssh: ssh(home) })) {
    write(`bin/${name}`, text);
    chmodSync(join(bin, name), 0o755);
  }
  const machine = { name: "box", ssh: "me@box.example:2222", key: "/keys/my box", gpu: "RTX 3090", gpus: 1 };
  write("machines.json", JSON.stringify({ machines: [machine] }));
  return {
    home,
    machines,
    path: `${bin}:${process.env["PATH"] ?? ""}`,
    read: (name) => readFileSync(join(home, name), "utf8"),
    write,
  };
}
