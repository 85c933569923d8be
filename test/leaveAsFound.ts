/** Files of the rooms share processes: what one of them sets of the environment, another must not find, such as a PATH without any program. */
import { afterAll, vi } from "vitest";

afterAll(() => {
  vi.unstubAllEnvs();
});
