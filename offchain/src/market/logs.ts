/**
 * What a rented machine's work printed last: read by its provider where that tells it, else over `ssh`, by scripts that take no more than
 * a label of ours and a number. Whoever has the machine writes what is read, so that all of it is bounded, and shown without what acts on
 * a terminal and without what looks like a secret.
 */
import { printable, redactUrls } from "../base/index.ts";
import { providerError } from "./base/errors.ts";
import { runOverSsh, type SshHost, type SshOptions } from "./ssh.ts";

/** Lines that may be asked for, bytes of a machine's answer, and characters of a line that are shown. */
export const MOST_LINES = 2_000;
const MOST_BYTES = 48_000;
const MOST_CHARACTERS = 2_000;

/** What stands around the lines: a shell's start files may print others. */
const [BEGIN, END] = ["cotrain: log begins", "cotrain: log ends"] as const;

const script = (commands: string): string => `echo '${BEGIN}'
{
${commands}
} 2>&1 | tail -c ${MOST_BYTES}
echo
echo '${END}'`;

/** On a machine of one's own: its container's, or while there is none what bringing it about printed. */
export const ownLogScript = (label: string, lines: number): string =>
  script(`ids=$(docker ps --all --quiet --filter label=cotrain=${label})
if [ -n "$ids" ]; then docker logs --tail ${lines} cotrain; else tail -n ${lines} "$HOME/.cotrain-rented/${label}/log"; fi`);

/**
 * On a machine of a cloud: our container's where it has Docker. Else it may be the container: what `cotrain machine` keeps of its
 * workers, what the start printed where a provider keeps that.
 */
const cloudLogScript = (lines: number): string =>
  script(`as=; [ "$(id -u)" = 0 ] || as="sudo -n"
if command -v docker >/dev/null && [ -n "$($as docker ps --all --quiet --filter 'name=^/?cotrain$')" ]
then $as docker logs --tail ${lines} cotrain
else tail -n ${lines} "$HOME"/.cotrain-rented/ct-*/log /cache/machine/logs/*.log /var/log/onstart.log /var/log/cloud-init-output.log 2>/dev/null; fi`);

/** The lines of a script's answer. @throws RetryableError `PROVIDER_UNREADABLE` for one that did not come to its end */
export function saidOf(output: string, name: string): string {
  const [begin, end] = [output.indexOf(`${BEGIN}\n`), output.lastIndexOf(`\n${END}`)];
  if (begin < 0 || end < begin) throw providerError("unreadable", name, "its answer ends too early");
  return output.slice(begin + BEGIN.length + 1, end);
}

/** The last lines over `ssh`, from a machine of a cloud. @throws as {@link runOverSsh} and {@link saidOf} */
export const logOverSsh = async (machine: SshHost, lines: number, options: SshOptions): Promise<string> =>
  saidOf(await runOverSsh(machine, cloudLogScript(lines), options), machine.name);

/** A name of a secret and its value, as environments, headers, JSON and flags have them. */
const NAMED =
  /((?:\b|[_-])(?:authorization|bearer|token|secret|pass(?:word|phrase|wd)?|(?:api|private|access|account)[_-]?key|join[_-]pass[_-]?\d*)["']?(?:\s*[:=]\s*|\s+))(?:(["'])[^"']*\2|(?:(?:bearer|basic)\s+)?\S+)/giu;
/** Passes, JSON Web Tokens: JSON in base64, which begins with a brace. */
const ENCODED = /\beyJ[\w-]{40,}(?:\.[\w-]+){0,2}/g;
/** Keys as clouds and their tools write them. */
const KEYS = /\b(?:sk|pk|rpa|hf|ghp|gho|github_pat|glpat|xox[abp]|secret)[-_][\w-]{16,}|\bAKIA[0-9A-Z]{16}\b/g;

/** A line without what looks like a secret. */
const withoutSecrets = (line: string): string =>
  redactUrls(line).replace(NAMED, "$1$2(hidden)$2").replace(ENCODED, "(hidden)").replace(KEYS, "(hidden)");

/** The last so many lines of a log, as they may be shown. */
export function shownLog(log: string, lines: number): readonly string[] {
  const all = log.split(/\r\n|\n|\r/);
  while (all.at(-1)?.trim() === "") all.pop();
  return all.slice(-lines).map((line) => {
    const shown = withoutSecrets(printable(line));
    return shown.length > MOST_CHARACTERS ? `${shown.slice(0, MOST_CHARACTERS)}…` : shown;
  });
}
