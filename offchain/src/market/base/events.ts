/** Lines out of what a provider streams: server-sent events, one line of a log in each, or the lines as they are. */
import { fieldOf } from "./rows.ts";

/** What an event says: text, or of an object the text of a field. What is of another form is the line as it is. */
function wordsOf(data: string, field: string | undefined): string {
  if (field === undefined) return data;
  try {
    const value = fieldOf(JSON.parse(data), field);
    return typeof value === "string" ? value : data;
  } catch {
    return data;
  }
}

/**
 * The lines of a stream. The last event may be cut off, and so may the first.
 * @param field of each event's JSON that is the line; undefined where the data is
 */
export function eventLines(stream: string, field?: string): string {
  const lines = stream.split(/\r\n|\n|\r/);
  const data = lines.flatMap((line) => (line.startsWith("data:") ? [line.slice(5).replace(/^ /, "")] : []));
  return (data.length === 0 ? lines : data.map((each) => wordsOf(each, field))).join("\n");
}
