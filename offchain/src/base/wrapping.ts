/** Text in lines that fit a terminal. */

/** Text in lines of at most `width` characters, broken between words; a longer word is broken where it must. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/).filter((each) => each !== "")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = "";
    }
    line += line === "" ? word : ` ${word}`;
    for (; line.length > width; line = line.slice(width)) lines.push(line.slice(0, width));
  }
  return line === "" ? lines : [...lines, line];
}

/** A command line in lines of at most `width` characters that a shell takes as one: broken between words, never cut. */
export function wrapCommand(command: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  // What stands between quotes is one word: the indentation of a line would become part of it.
  for (const word of command.match(/(?:"[^"]*"|'[^']*'|[^\s"'])+|["']/g) ?? []) {
    // Room for the backslash that says that it goes on.
    if (line !== "" && line.length + 1 + word.length > width - 2) {
      lines.push(`${line} \\`);
      line = `  ${word}`;
    } else line += line === "" ? word : ` ${word}`;
  }
  return [...lines, line];
}
