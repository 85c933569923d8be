/** A question at the terminal that is answered by yes or no. */
import { createInterface } from "node:readline/promises";

/**
 * What the person at the terminal answers: an end of the input (Ctrl-D) is no yes.
 * @param input a terminal in raw mode, as `readline` makes it: Ctrl-C comes as a character and not as a signal
 */
export async function askYes(
  question: string,
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
): Promise<"yes" | "no" | "interrupted"> {
  const prompt = createInterface({ input, output, terminal: true });
  const asking = new AbortController();
  let interrupted = false;
  prompt.once("SIGINT", () => {
    interrupted = true;
    prompt.close();
  });
  prompt.once("close", () => asking.abort());
  try {
    const answer = await prompt.question(question, { signal: asking.signal });
    return /^y(es)?$/i.test(answer.trim()) ? "yes" : "no";
  } catch (error) {
    if (!asking.signal.aborted) throw error;
    // The line of the question has not ended.
    output.write("\n");
    return interrupted ? "interrupted" : "no";
  } finally {
    prompt.close();
  }
}
