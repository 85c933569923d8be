/** The type strings of the protocol's page. */
export const structs = {
  Join: "Join(bytes32 runId,address worker,address beneficiary,bytes32 lease,bytes32 build,bytes32 conformance,uint16 protocolMin,uint16 protocolMax,uint64 issuedAt)",
  JoinPass:
    "JoinPass(bytes32 runId,address renter,bytes32 machine,uint32 index,address beneficiary,uint64 notAfter)",
  Receipt:
    "Receipt(bytes32 runId,uint64 round,address worker,address beneficiary,uint64 assignmentId,uint32 attempt,bytes32 assignment,uint32 steps,uint32 paramsVersion,bytes32 build,bytes32 baseDigest,bytes32 commitment,uint32 leaves,bytes32 payloadDigest)",
  Fragment:
    "Fragment(bytes32 runId,uint64 round,address worker,uint64 assignmentId,uint32 attempt,uint32 index,bytes32 base,bytes32 digest)",
  Ack: "Ack(bytes32 runId,uint64 round,address worker,bytes32 receiptHash,uint64 tokens,uint64 acceptedAt)",
  Verdict:
    "Verdict(bytes32 runId,uint64 round,bytes32 head,address validator,uint8 kind,address worker,uint32 index,uint64 value,bytes32 evidence,uint64 issuedAt)",
  Attestation:
    "Attestation(uint8 kind,bytes32 modelId,uint64 index,uint64 fromEpoch,uint64 toEpoch,bytes32 runId,bytes32 head,bytes32 epochDigest,bytes32 previousRoot,bytes32 root,uint256 total,uint32 setVersion,uint64 blockNumber,bytes32 blockHash,uint64 deadline)",
  ClaimTo: "ClaimTo(bytes32 modelId,uint8 kind,address account,address to,uint256 nonce,uint64 deadline)",
  Ruling:
    "Ruling(bytes32 modelId,uint8 kind,bytes32 subject,uint64 dispute,address accused,uint8 outcome,bytes32 evidence,uint32 setVersion,uint64 deadline)",
  Suspend: "Suspend(bytes32 runId,address poster,bytes32 head,uint32 setVersion,uint64 deadline)",
  Grant:
    "Grant(bytes32 modelId,address author,bytes32 repository,bytes32 commit,bytes32 description,uint128 amount,uint64 start,uint32 cliff,uint32 duration,uint32 setVersion,uint64 deadline)",
  Voucher: "Voucher(bytes32 leaseId,uint128 cumulative,uint64 through)",
  MachineOffer:
    "MachineOffer(address owner,address machine,bytes32 hardware,address token,uint128 pricePerSecond,uint32 minSeconds,uint32 maxSeconds,bytes32 region,uint64 validUntil,uint64 nonce,uint8 kind)",
  LeaseOffer:
    "LeaseOffer(bytes32 leaseId,bytes32 offer,bytes32 runId,uint32 seconds,uint32 period,uint128 deposit,uint64 answerBy)",
  LeaseAccept: "LeaseAccept(bytes32 leaseId,bytes32 offer,address machine,uint64 acceptedAt)",
};

export const headType =
  "Head(uint256 chainId,address registry,bytes32 parentHead,bytes32 runId,uint64 sequence,uint64 round,uint32 paramsVersion,bytes32 checkpointDigest,bytes32 receiptsRoot)";
