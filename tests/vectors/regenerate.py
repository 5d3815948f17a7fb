"""Fill in what vectors lack: identity, encoding, key. Run on purpose, never by a test.

    python tests/vectors/regenerate.py             # new vectors only; stops if an old one would change
    python tests/vectors/regenerate.py --change    # old ones too: only together with a new version tag

To add a vector, write its ``name`` and ``definition`` (and ``contents``: digests of what is local) and run the first.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from coopery import Environment, content, encoding, key
from coopery.definition import CopyStep
from coopery.sealed import Sealed, SealedBase, SealedLinks, SealedStep

FOLDER = Path(__file__).parent
SMALL = 200


def sealed(vector: dict[str, Any]) -> Sealed:
    """The vector's definition, sealed with the digests that it states instead of files."""
    environment = Environment.from_dict(vector["definition"])
    contents = vector.get("contents", {})
    steps = (SealedStep(step, contents.get(f"$.steps[{at}]")) for at, step in enumerate(environment.steps))
    links = (
        SealedLinks(digest, Path(), place)
        for place, digest in contents.items()
        if place.startswith("$.pip.find_links[")
    )
    return Sealed(environment, SealedBase(environment.base, contents.get("$.base")), tuple(steps), tuple(links))


def keyed(vector: dict[str, Any]) -> dict[str, Any]:
    identity = key.identity(sealed(vector))
    data = encoding.encode(["coopery.key.v1", identity])
    small = {"encoded": data.hex()} if len(data) <= SMALL else {}
    return {"identity": identity, **small, "key": key.compute(sealed(vector))}


def encoded(vector: dict[str, Any]) -> dict[str, Any]:
    return {"encoded": encoding.encode(vector["value"]).hex()}


def identified(vector: dict[str, Any]) -> dict[str, Any]:
    return {"key": getattr(key, vector["function"])(*vector["arguments"])}


def tree(vector: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return {"digest": copied(Path(folder), vector["nodes"])}


def copied(folder: Path, nodes: list[dict[str, Any]]) -> str:
    """Digest of a copy step that puts *nodes* below its ``to``; they are written into *folder*."""
    single = nodes[0]["kind"] == "file"
    top = folder / (nodes[0]["path"] if single and nodes[0]["path"] else "top")
    write(folder if single and nodes[0]["path"] else top, nodes)
    step = CopyStep(top.name, "/to/" if single and nodes[0]["path"] else "/to")
    return content.of_copy(step, top)[0]


def write(top: Path, nodes: list[dict[str, Any]]) -> None:
    """Put the nodes of a tree vector on disk."""
    for node in nodes:
        path = top / node["path"] if node["path"] else top
        if node["kind"] == "directory":
            path.mkdir(parents=True, exist_ok=True)
        elif node["kind"] == "symlink":
            path.symlink_to(node["target"])
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(node["text"].encode())
            path.chmod(0o755 if node["executable"] else 0o644)


KINDS = {"encodings": encoded, "identities": identified, "trees": tree}


def main(change: bool) -> int:
    for path in sorted(FOLDER.glob("*.json")):
        vectors = json.loads(path.read_text(encoding="utf-8"))
        make = KINDS.get(path.stem, keyed)
        for vector in vectors:
            new = make(vector)
            old = {name: vector.get(name) for name in new}
            if any(old.values()) and old != new and not change:
                print(f"{path.name}: {vector.get('name', vector)}: would change; see the top of {Path(__file__).name}")
                return 1
            vector.update(new)
        path.write_text(json.dumps(vectors, indent=2, ensure_ascii=path.stem == "encodings") + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main("--change" in sys.argv[1:]))
