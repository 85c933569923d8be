/** The logs of a session and of `run create`, by which other commands know whose lock lies on a directory that holds no run yet. */
import { layout } from "../../run/index.ts";
import { createLogger, type Logger, openLogFile } from "../../service/index.ts";

/** Opens it. The first line is written at once: a file of a log is made with its first line, which may be minutes later. */
export function openSessionLog(state: string): Logger {
  const logger = createLogger({ component: "up", destination: openLogFile(layout(state).sessionLog) });
  logger.info("a session begins");
  return logger;
}

/** The same of `run create`. */
export function openCreateLog(state: string): Logger {
  const logger = createLogger({ component: "create", destination: openLogFile(layout(state).createLog) });
  logger.info("a run is being made");
  return logger;
}
