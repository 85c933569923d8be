/**
 * People count rounds from 1: round n makes checkpoint n of checkpoint n − 1. The protocol's structs, and fields that go beside a
 * sentence, name a round by the checkpoint that it starts from.
 */
export const roundNumber = (startsFrom: number): number => startsFrom + 1;
