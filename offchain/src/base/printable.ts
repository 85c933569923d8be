/** Text of strangers where it leaves for a terminal: there control characters move cursors, set clipboards and hide lines. */

/** Control characters (ECMA-48: C0 but newline and tab, DEL, C1), and the two that Unicode separates lines by. */
const CONTROLS = String.raw`\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029`;
/** What has no shape of its own: directions of text (UAX #9), zero widths, fillers, tags, marks of annotations, blank braille. */
const SHAPELESS = String.raw`\p{Default_Ignorable_Code_Point}\u2800\ufff9-\ufffb`;
/** Joiners and variation selectors, which scripts and emoji are made with; after ASCII they do nothing but hide. */
const JOINERS = String.raw`\u200c\u200d\ufe00-\ufe0f`;

const unprintable = new RegExp(`[${CONTROLS}]|(?![${JOINERS}])[${SHAPELESS}]|(?<=[\\u0000-\\u007f])[${JOINERS}]`, "gu");
const unseen = new RegExp(`[${CONTROLS}${SHAPELESS}]`, "gu");

/** Text in which nothing acts on a terminal, changes the order of what is read, or is there unseen. */
export const printable = (text: string): string => text.replace(unprintable, "\uFFFD");

const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** JSON that means the same: `JSON.stringify` escapes C0 and leaves the others as they are. */
export const printableJson = (json: string): string =>
  json.replace(unseen, (character) => character.split("").map(escaped).join(""));
