/** Options as a command line has them. */

/** `roundDeadline` → `--round-deadline`. */
export function flagOf(key: string): string {
  return `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
