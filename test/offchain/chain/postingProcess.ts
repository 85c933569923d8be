/** A process that posts a head, and those that follow it, and ends: what kill -9 is tried on. Argument: JSON of {options, database, fields, key, following, account}. */
import { privateKeyToAccount } from "viem/accounts";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { type ChainOptions, type HeadFields, type NextHead, openChain } from "../../../offchain/src/chain/index.ts";
import { jobMigrations, type JobSchema, openDatabase, openJobTable } from "../../../offchain/src/service/index.ts";

const input = JSON.parse(process.argv[2] ?? "") as {
  options: ChainOptions;
  database: string;
  fields: HeadFields;
  key: string;
  following: NextHead[];
  account: `0x${string}`;
};
const database = await openDatabase<JobSchema>(input.database, jobMigrations);
const jobs = await openJobTable(database, { random: createRandom("jobs") });
const chain = await openChain(
  { ...input.options, pollInterval: 30 },
  { account: privateKeyToAccount(input.account), jobs },
);
const posted = await chain.postHead(input.fields, input.key, input.following);
process.stdout.write(JSON.stringify(posted));
await chain.close();
await database.close();
