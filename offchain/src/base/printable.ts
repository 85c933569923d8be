/** Text of strangers where it leaves for a terminal: there control characters move cursors, set clipboards and hide lines. */

/** Text without control characters (ECMA-48: C0 but newline and tab, DEL, C1). */
export const printable = (text: string): string =>
  // oxlint-disable-next-line no-control-regex -- these are what it is about
  text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\uFFFD");

/** JSON that means the same: `JSON.stringify` escapes C0 and leaves DEL and C1 as they are. */
export const printableJson = (json: string): string =>
  json.replace(/[\u007f-\u009f]/g, (control) => `\\u00${control.charCodeAt(0).toString(16)}`);
