/** The engine measures one thing at a time. Who has it says whether that can wait, so that what cannot may end it. */
export interface EngineTask {
  /** Whether an audit ends it. */
  readonly canWait: boolean;
  readonly controller: AbortController;
  /** Of the machine's processor time; undefined where nothing else needs it, or while it is not known. */
  share: number | undefined;
}

export interface EngineSlot {
  /** What is on. */
  task: EngineTask | undefined;
  /** Resolves when that is over. */
  done: Promise<void> | undefined;
  /** Whether an audit waits for the engine: until it has it, no measurement of held-out loss begins. */
  auditWaits: boolean;
}

/** Has the engine, which is free, until the work is over. */
export function occupy(
  slot: EngineSlot,
  { canWait, share }: Pick<EngineTask, "canWait" | "share">,
  work: (task: EngineTask) => Promise<void>,
): void {
  const task: EngineTask = { canWait, controller: new AbortController(), share };
  slot.task = task;
  slot.done = work(task).finally(() => {
    slot.task = undefined;
    slot.done = undefined;
  });
}
