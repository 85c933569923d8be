/**
 * The Brown corpus comes as `word/tag` tokens, one sentence a line, paragraphs divided by blank lines. This gives back
 * plain text as one would type it: a paragraph a line, words without tags, punctuation without stray spaces.
 */

/** Doubled in the corpus where the original has one: "type 1, , follows", "lobules; ;", "( ( fig. 3 )". */
const DOUBLED = new Set([",", ";", "?", "!", ":", "("]);
const NO_SPACE_BEFORE = new Set([",", ";", "?", "!", ":", ".", ")", "]"]);
const NO_SPACE_AFTER = new Set(["(", "["]);

const QUOTES = new Set(["``", "''"]);

/** The word of a `word/tag` token; inches, as in `12''/nn`, get the mark that quotations get too. */
function wordOf(token: string): string {
  const word = token.slice(0, token.lastIndexOf("/"));
  return QUOTES.has(word) ? word : word.replaceAll("''", '"');
}

/** One sentence or paragraph from its words. */
function joinWords(words: readonly string[]): string {
  let text = "";
  let glue = true;
  let quoted = false;
  let singleQuoted = false;
  let previous = "";
  for (const word of words) {
    if (word === previous && DOUBLED.has(word)) continue;
    // An abbreviation's point ends the sentence too: "Ivan Allen Jr."
    if (word === "." && previous.endsWith(".")) continue;
    previous = word;
    let out = word;
    let before = NO_SPACE_BEFORE.has(word);
    let after = NO_SPACE_AFTER.has(word);
    if (QUOTES.has(word)) {
      out = '"';
      // The marks tell opening from closing, except where the corpus has a closing one without its opening.
      const opens: boolean = word === "``" || !quoted;
      quoted = opens;
      before = !opens;
      after = opens;
    } else if (word === "'") {
      singleQuoted = !singleQuoted;
      before = !singleQuoted;
      after = singleQuoted;
    }
    text += glue || before ? out : ` ${out}`;
    glue = after;
  }
  return text;
}

/**
 * Plain text of one file of the corpus: a paragraph a line, a newline at the end.
 * @param tagged the file's content
 */
export function detokenizeBrown(tagged: string): string {
  const paragraphs: string[] = [];
  for (const block of tagged.split(/\n\s*\n/)) {
    let words: string[] = [];
    for (const line of block.split("\n")) {
      const tokens = line.split(/\s+/).filter((token) => token.includes("/"));
      // A headline (every tag ends in -hl) is a paragraph of its own although no blank line divides it.
      const headline = tokens.length > 0 && tokens.every((token) => token.endsWith("-hl"));
      if (headline && words.length > 0) {
        paragraphs.push(joinWords(words));
        words = [];
      }
      words.push(...tokens.map(wordOf));
      if (headline) {
        paragraphs.push(joinWords(words));
        words = [];
      }
    }
    if (words.length > 0) paragraphs.push(joinWords(words));
  }
  return paragraphs.map((paragraph) => `${paragraph}\n`).join("");
}
