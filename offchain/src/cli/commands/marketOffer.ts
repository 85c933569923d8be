/** `cotrain market offer`: the owner of a machine signs what it is let for. */
import {
  asAddress,
  hardwareOf,
  leaseBounds,
  leaseKind,
  type MachineOffer,
  regionOf,
  requireMachineOffer,
  signMachineOffer,
  toWire,
} from "@cotrain/sdk/protocol";

import { formatAddress, formatDuration, timeText, UserError } from "../../base/index.ts";
import { typedPath, writeFileDurable } from "../../base/node/index.ts";
import { readMachine } from "../../market/index.ts";
import { namedWallet, passphraseFileOption, walletOption } from "../../run/index.ts";
import { account, duration, integer, text } from "../../service/index.ts";
import { defineCommand } from "../command.ts";

const SECOND = 1_000;
const WHOLE = /^[1-9]\d{0,28}$/;

/** `cotrain market offer`. */
export const marketOfferCommand = defineCommand({
  name: "market offer",
  summary: "sign what a machine of yours is let for, by its description",
  args: [{ name: "machine", description: "file in which market lend describes it" }],
  options: {
    token: account({ description: "address of the ERC-20 that it is paid in" }),
    price: text({ value: "units", description: "smallest units of the token for a second" }),
    escrow: account({ description: "address of ComputeEscrow, as deployment.json has it" }),
    chainId: integer(1, Number.MAX_SAFE_INTEGER, { description: "chain of the escrow", default: 31_337 }),
    least: duration({ description: "shortest time for which it is let", default: 600_000 }),
    longest: duration({ description: "longest time for which it is let", default: 86_400_000 }),
    validFor: duration({ description: "time for which the offer stands", default: 604_800_000 }),
    region: text({ description: "where it stands, of a-z, 0-9 and -", default: "unknown" }),
    wallet: walletOption,
    passphraseFile: passphraseFileOption,
    out: text({ value: "file", description: "where the offer is written", default: "offer.json" }),
  },
  examples: [
    [
      "npx cotrain market offer machine.json --token 0x5fbdb2315678afecb367f032d93f642f64180aa3 --price 100 --escrow 0xe7f1725e7734ce288f8367e1bb143e90bb3f0512 --wallet me.json --passphrase-file pass",
      "100 smallest units a second: of a token of 6 decimals 0.36 an hour",
    ],
  ],
  notes: [
    "The wallet is who is paid, and never has to be on the machine. Whoever has the offer's file and not the machine can do nothing with it.",
  ],
  async run({ args: [machine = ""], options, output }) {
    const { token, price = "", escrow, chainId, least, longest, validFor, region, out } = options;
    if (token === undefined || escrow === undefined || !WHOLE.test(price))
      throw new UserError("USAGE", "Name what it costs, and where it is paid: --token, --price and --escrow.");
    const owner = await namedWallet(options);
    if (owner === undefined)
      throw new UserError("WALLET_MISSING", "Name the owner's wallet with --wallet and --passphrase-file.");
    const { facts, machine: key } = await readMachine(machine);
    const now = Math.floor(Date.now() / SECOND);
    const offer: MachineOffer = {
      owner: asAddress(owner.address),
      machine: key,
      hardware: hardwareOf(facts),
      token: asAddress(token),
      pricePerSecond: BigInt(price),
      minSeconds: Math.ceil(least / SECOND),
      maxSeconds: Math.min(leaseBounds.seconds, Math.floor(longest / SECOND)),
      region: regionOf(region),
      validUntil: BigInt(now + Math.floor(validFor / SECOND)),
      nonce: BigInt(now),
      kind: leaseKind.paid,
    };
    const place = { chainId, escrow: asAddress(escrow) };
    const signature = await signMachineOffer(owner, place, offer);
    await requireMachineOffer(offer, signature, { ...place, now });
    const document = { escrow: place.escrow, offer: toWire("MachineOffer", offer), signature, facts };
    await writeFileDurable(out, JSON.stringify(document));
    output.result(document, [
      `${formatAddress(key)} is let by ${formatAddress(owner.address)} for ${formatDuration(least)} to ${formatDuration(longest)}, until ${timeText(Number(offer.validUntil))}.`,
      `The offer is in ${typedPath(out)}: "npx cotrain market lend --offer ${typedPath(out)}" on the machine lists it.`,
    ]);
  },
});
