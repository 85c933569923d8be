/** How wide a terminal is. */

/** Columns of a terminal; what goes elsewhere is wrapped by nothing. */
export const columnsOf = (terminal: Pick<NodeJS.WriteStream, "isTTY" | "columns">): number =>
  terminal.isTTY && terminal.columns > 0 ? terminal.columns : Infinity;
