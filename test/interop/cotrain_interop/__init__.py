"""A second implementation of Cotrain's protocol, written from docs/protocol.md alone; it verifies finished runs.

Start reading at run.py. No other part of the repository is used but that page, whose tables spec.py reads.
"""
