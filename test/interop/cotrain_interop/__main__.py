"""python -m cotrain_interop verify|flips|vectors|documents|screenings|reading …: one line per mismatch, exit code 1 if there is any."""

import argparse
import json
import sys
from pathlib import Path

from .base import Mismatch
from .blobs import Blobs, Coordinator, Directory
from .chain import Chain
from .flips import flip_all
from .report import Report
from .run import Verifier
from .spec import Spec
from .vectors import check_documents, check_reading, check_screenings, check_vectors

ROOT = Path(__file__).resolve().parents[3]


def main() -> int:
    parser = argparse.ArgumentParser(prog="cotrain_interop", description=__doc__)
    parser.add_argument("--protocol", type=Path, default=ROOT / "docs/protocol.md", help="the page with the tables")
    commands = parser.add_subparsers(dest="command", required=True)
    vectors = commands.add_parser("vectors", help="check test/vectors/*.json")
    vectors.add_argument("--directory", type=Path, default=ROOT / "test/vectors")
    for name, what in (
        ("documents", "say of documents whether they are of the page's form"),
        ("screenings", "judge rounds again that the product judged"),
        ("reading", "say which texts are canonical JSON, and who was given another's sequences"),
    ):
        commands.add_parser(name, help=what).add_argument("--cases", type=Path, required=True)
    for name, what in (("verify", "recompute a finished run"), ("flips", "flip bytes of its inputs, which must be noticed")):
        command = commands.add_parser(name, help=what)
        command.add_argument("--rpc", required=True, help="JSON-RPC of the chain")
        command.add_argument("--blobs", required=True, help="directory of blobs, or a coordinator's URL")
        command.add_argument("--deployment", type=Path, required=True, help="deployment.json: contracts and first block")
        command.add_argument("--run", required=True, help="id of the run")
        if name == "verify":
            command.add_argument("--complete", action="store_true", help="no payload and no shard may be missing")
        else:
            command.add_argument("--seed", default="flips", help="decides which bytes are flipped")
    options = parser.parse_args()
    spec = Spec(options.protocol.read_text(encoding="utf-8"))
    report = Report()
    if options.command == "vectors":
        check_vectors(spec, options.directory, report)
    elif options.command == "documents":
        check_documents(spec, options.cases, report)
    elif options.command == "screenings":
        check_screenings(spec, options.cases, report)
    elif options.command == "reading":
        check_reading(options.cases, report)
    else:
        deployment = json.loads(options.deployment.read_text(encoding="utf-8"))
        contracts = {name: address.lower() for name, address in deployment["addresses"].items()}
        chain = Chain(options.rpc, spec, contracts, min(deployment["blocks"].values()))
        remote = options.blobs.startswith(("http://", "https://"))
        source = Coordinator(options.blobs) if remote else Directory(options.blobs)
        if options.command == "verify":
            Verifier(spec, chain, Blobs(source, spec), options.run.lower(), report, options.complete).verify()
        else:
            flip_all(spec, chain, source, options.run.lower(), options.seed, report)
    for line in report.lines:
        print(line)
    counts = ", ".join(f"{count} {what}" for what, count in sorted(report.checked.items()))
    print(f"{len(report.lines)} mismatches; checked: {counts}", file=sys.stderr)
    return 1 if report.lines else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Mismatch as mismatch:
        print(mismatch)
        sys.exit(1)
