/**
 * People and their scripts count rounds from 1: round n makes checkpoint n of checkpoint n − 1. The protocol's structs, and what a
 * coordinator answers, name a round by the checkpoint that it starts from.
 */
export const roundNumber = (startsFrom: number): number => startsFrom + 1;

/** What a line of a log or a JSON document has, its round as people count. */
export function countedFromOne<T extends object>(fields: T): T {
  return "round" in fields && typeof fields.round === "number"
    ? { ...fields, round: roundNumber(fields.round) }
    : fields;
}
