import { BaseError } from "viem";

/** What an RPC says it does not know is an answer. @param name of viem's error */
export async function unlessUnknown<T>(name: string, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof BaseError && error.name === name) return undefined;
    throw error;
  }
}
