"""docs/protocol.md as data: the tables of structs, documents and codes, read as they stand on the page."""

import re

from .base import Mismatch, require, short

_PATTERNS = {
    "hash": re.compile(r"0x[0-9a-f]{64}"),
    "address": re.compile(r"0x[0-9a-f]{40}"),
    "signature": re.compile(r"0x[0-9a-f]{130}"),
    "decimal": re.compile(r"0|[1-9][0-9]{0,77}"),
    "sketch": re.compile(r"[A-Za-z0-9+/]{170}[AEIMQUYcgkosw048]="),
}
_RANGES = {"count": 2**53 - 1, "uint8": 2**8 - 1, "uint16": 2**16 - 1, "uint32": 2**32 - 1}
# A step of a field's path: its name, how deep in lists, and of which variant the rest is, `name[] (kind "adamw")`.
_STEP = re.compile(r'(\w+)((?:\[\])*)(?: \((\w+) ("[^"]*"|-?[0-9]+)\))?(?:\.|$)')
_WIRE = {"bytes32": "hash", "address": "address", "uint64": "decimal", "uint128": "decimal", "uint256": "decimal"}


class Node:
    """A field of a document: its type, the fields of an object or of each of its variants, the items of a list."""

    def __init__(self, kind: str = "object"):
        self.kind = kind
        self.fields: dict[str, Node] = {}
        self.item: Node | None = None
        self.optional = False
        # Where an object is one of several: the field that says which, and each one's fields by what stands in it.
        self.by: str | None = None
        self.variants: dict[str | int, Node] = {}

    def child(self, name: str) -> "Node":
        require(self.by is None, f"the page has the field {name} of an object with variants, but not of which")
        return self.fields.setdefault(name, Node())

    def variant(self, by: str, literal: str | int) -> "Node":
        require(not self.fields and self.by in (None, by), f"the page tells variants apart by {by}, and others do not")
        self.by = by
        return self.variants.setdefault(literal, Node())


class Spec:
    """What the page says."""

    def __init__(self, page: str):
        self.structs: dict[str, list[tuple[str, str]]] = {}
        self.documents: dict[str, Node] = {}
        self.codes: dict[str, dict[str, int]] = {}
        self.params: list[tuple[str, str]] = []
        for name, rows in _tables(page):
            kind, _, subject = name.partition(" ")
            if kind == "struct":
                self.structs[subject] = [(row[0], row[1]) for row in rows]
            elif kind == "document":
                self.documents[subject] = _document(rows)
            elif kind == "codes":
                self.codes[subject] = {row[1]: int(row[0]) for row in rows}
            elif kind == "params":
                self.params = [(row[0], row[1]) for row in rows]
        # Round deadlines for which parameters that were changed still count.
        slack = re.search(r"max\(epochLength, ([0-9]+) × roundDeadline\)", page)
        require(slack is not None, "the page does not say which version is the least")
        self.version_slack = int(slack.group(1))
        require(bool(self.structs and self.documents and self.codes and self.params), "the page has no tables")

    def check(self, name: str, value: object) -> dict:
        """Refuses a document that is not of the form of its table."""
        require(name in self.documents, f"the page has no document {name}")
        self._fields(self.documents[name].fields, value, name)
        return value

    def struct_type(self, name: str) -> str:
        return f"{name}({','.join(f'{kind} {field}' for field, kind in self.structs[name])})"

    def _fields(self, fields: dict[str, Node], value: object, path: str) -> None:
        require(isinstance(value, dict), f"{path} is no object")
        for key in value:
            require(key in fields, f"{path} has the unknown field {short(key)}")
        for key, node in fields.items():
            if key not in value:
                require(node.optional, f"{path} lacks the field {key}")
                continue
            self._node(node, value[key], f"{path}/{key}")

    def _node(self, node: Node, value: object, path: str) -> None:
        kinds = [node.kind] if node.kind.startswith("map to ") else node.kind.split(" or ")
        for kind in kinds:
            if self._fits(kind, node, value, path):
                return
        raise Mismatch(f"{path} is {short(value)}, which is no {node.kind}")

    def _fits(self, kind: str, node: Node, value: object, path: str) -> bool:
        head, _, rest = kind.partition(" ")
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if kind in _PATTERNS:
            return isinstance(value, str) and _PATTERNS[kind].fullmatch(value) is not None
        if kind in _RANGES:
            return number and value == int(value) and 0 <= value <= _RANGES[kind]
        if kind in ("null", "boolean"):
            return value is None if kind == "null" else isinstance(value, bool)
        if kind.startswith("map to "):
            inner = Node(kind.removeprefix("map to "))
            require(isinstance(value, dict), f"{path} is no object")
            for key, item in value.items():
                self._node(inner, item, f"{path}/{key}")
            return True
        if head == "number":
            return number and _within(rest, value)
        if head == "integer":
            return number and value == int(value) and _within(rest, value)
        if head == "text":
            return isinstance(value, str) and _within(rest, len(value.encode("utf-16-le", "surrogatepass")) // 2)
        if head == "list":
            if not isinstance(value, list) or not _within(rest, len(value)):
                return False
            for index, item in enumerate(value):
                self._node(node.item, item, f"{path}/{index}")
            return True
        if head == "document":
            self.check(rest, value)
            return True
        if head == "struct":
            fields = {name: Node(_WIRE.get(kind, kind)) for name, kind in self.structs[rest]}
            self._fields(fields, value, path)
            return True
        if kind == "object":
            if not isinstance(value, dict):
                return False
            self._fields(_chosen(node, value, path).fields, value, path)
            return True
        literal = _literal(kind)
        return type(value) is type(literal) and value == literal


def _literal(text: str) -> str | int:
    return text[1:-1] if text.startswith('"') else int(text)


def _chosen(node: Node, value: dict, path: str) -> Node:
    """The variant of which an object is, the node itself where there are none."""
    if node.by is None:
        return node
    told = value.get(node.by)
    for literal, variant in node.variants.items():
        if type(told) is type(literal) and told == literal:
            return variant
    raise Mismatch(f"{path}/{node.by} is {short(told)}, which is no variant of the page")


def _within(bounds: str, value: float) -> bool:
    if bounds == "":
        return True
    low, _, high = bounds.partition("…")
    for text, sign in ((low, 1), (high, -1)):
        if text == "":
            continue
        open_end = text.startswith("(")
        limit = float(text.strip("()"))
        distance = (value - limit) * sign
        if distance < 0 or (open_end and distance == 0):
            return False
    return True


def _tables(page: str):
    """Name and rows of each table that a comment names; cells without their back-ticks."""
    lines = page.split("\n")
    for at, line in enumerate(lines):
        match = re.fullmatch(r"<!-- (.+) -->", line)
        if not match:
            continue
        rows = []
        for row in lines[at + 3 :]:
            if not row.startswith("|"):
                break
            rows.append([cell.strip().strip("`") for cell in row[1:-1].split(" | ")])
        yield match.group(1), rows


def _document(rows: list[list[str]]) -> Node:
    root = Node()
    seen: set[str] = set()
    for path, kind, *_ in rows:
        require(path not in seen, f"the page has two rows of the field {path}")
        seen.add(path)
        node, at = root, 0
        while at < len(path):
            step = _STEP.match(path, at)
            require(step is not None, f"the page has the field {path}, which is no path")
            name, items, by, literal = step.groups()
            node, at = node.child(name), step.end()
            for _ in range(len(items) // 2):
                node.item = node.item or Node()
                node = node.item
            if by is not None:
                node = node.variant(by, _literal(literal))
        node.kind = kind.removesuffix(", optional")
        node.optional = kind.endswith(", optional")
    return root
