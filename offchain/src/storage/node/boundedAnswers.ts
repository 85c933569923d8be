/**
 * A bound on answers for a client library that takes no `fetch` of its caller's and reads every answer to its end. The
 * process's `fetch` is wrapped for that; requests outside of {@link withAnswersUpTo} are as they were.
 */
import { AsyncLocalStorage } from "node:async_hooks";

const bounds = new AsyncLocalStorage<number>();

/** Counts what is read: a compressed answer is bounded by what it unpacks to. */
function cut({ body, status, statusText, headers }: Response, most: number): Response {
  let left = most;
  const counter = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      left -= chunk.length;
      if (left >= 0) controller.enqueue(chunk);
      else controller.error(new RangeError(`it answers more than ${most} bytes`));
    },
  });
  return new Response(body?.pipeThrough(counter) ?? null, { status, statusText, headers });
}

const { fetch } = globalThis;
globalThis.fetch = async (input, init) => {
  const most = bounds.getStore();
  if (most === undefined) return fetch(input, init);
  return cut(await fetch(input, { ...init, redirect: "manual" }), most);
};

/** Runs work each of whose requests follows no redirect and is answered by so many bytes at most: more is an error. */
export const withAnswersUpTo = <T>(bytes: number, work: () => Promise<T>): Promise<T> => bounds.run(bytes, work);
