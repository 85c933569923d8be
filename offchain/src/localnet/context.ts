/** What localnet needs of the command that starts it. */
import type { localnetOptions } from "../run/index.ts";
import type { ConfigOf, ResolvedConfig } from "../service/index.ts";

export interface LocalnetContext {
  readonly options: ConfigOf<typeof localnetOptions>;
  readonly config: Pick<ResolvedConfig<typeof localnetOptions>, "explicit" | "origins">;
  /** Says a line to who started it. */
  readonly notice: (line: string) => void;
  /** The program whose commands its processes run. */
  readonly program: string;
}
