"""What a commit of an index is made of: the one file whose renaming is the commit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

from landmarkzoo._utils.atomic_writing import atomic_write
from landmarkzoo.retrieval.shard_files import Storage

MANIFEST_FILE = "manifest.json"
_FORMAT = "landmarkzoo.index.v1"


@dataclass(frozen=True)
class ShardEntry:
    """A shard of a commit.

    Attributes:
        name: Its file is ``shards/<name>.safetensors``.
        rows: How many, those that do not count any more included.
        order: Number of the job that wrote it, and position of its first photo in that job: rows of an index
            are in the order of these, whoever wrote the shards.
    """

    name: str
    rows: int
    order: tuple[int, int]


@dataclass(frozen=True)
class Manifest:
    """One commit of an index.

    Attributes:
        created: When the index was made, ISO 8601.
        committed: When this commit was made.
        storage: Type of the vectors.
        generation: Number of the commit.
        jobs: Jobs that have written shards; the next one has this number.
        dimensions: D; ``None`` before it is known.
        provenance: What makes the descriptors, as ``lz.embed`` writes it.
        options: How photos are embedded: ``precision`` and ``batch_size``, and ``model``, the name that the
            model has for ``create_model``, or ``None``; empty where descriptors are brought along.
        shards: In the order of their rows.
        edits: The file ``edits/<edits>.safetensors`` with what has changed since; ``None`` if nothing.
    """

    created: str
    committed: str
    storage: Storage
    generation: int = 0
    jobs: int = 0
    dimensions: int | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    shards: tuple[ShardEntry, ...] = ()
    edits: str | None = None

    def write(self, folder: Path) -> None:
        """Make this the last commit of an index.

        Raises:
            OSError: If it cannot be written; the last commit is the one before.
        """
        text = json.dumps({"format": _FORMAT, **asdict(self)}, indent=1)
        with atomic_write(folder / MANIFEST_FILE) as temporary:
            temporary.write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """The last commit of an index.

    Raises:
        FileNotFoundError: If the folder is no index.
        NotADirectoryError: If it is a file.
        ValueError: If it is damaged, or of a newer landmarkzoo.
    """
    path = folder / MANIFEST_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        found = values.pop("format")
        if found != _FORMAT:
            raise ValueError(f"its format is {found!r}, {_FORMAT!r} is needed: upgrade landmarkzoo")
        shards = tuple(
            ShardEntry(s["name"], s["rows"], (s["order"][0], s["order"][1])) for s in values["shards"]
        )
        manifest = Manifest(**{**values, "shards": shards})
        _check(manifest)
        return manifest
    except NotADirectoryError:
        raise NotADirectoryError(f"{folder} is a file: an index is a folder") from None
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{folder} is no index: it has no {MANIFEST_FILE}; lz.Index.create makes one"
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError(f"{path} is damaged or of another landmarkzoo: {error}") from error


def _check(manifest: Manifest) -> None:
    """Raise ValueError for values that no index has: a JSON file may have been damaged or edited."""
    names = [entry.name for entry in manifest.shards] + ([] if manifest.edits is None else [manifest.edits])
    numbers = [manifest.generation, manifest.jobs, 0 if manifest.dimensions is None else manifest.dimensions]
    numbers += [number for entry in manifest.shards for number in (entry.rows, *entry.order)]
    texts = [manifest.created, manifest.committed]
    texts += [text for pair in manifest.provenance.items() for text in pair]
    for number in numbers:
        if type(number) is not int or not 0 <= number < 2**63:
            raise ValueError(f"a number in it is {number!r}")
    for name in names:
        if not isinstance(name, str) or not name.isalnum():
            raise ValueError(f"the name of a file in it is {name!r}")
    if len(set(names)) < len(names):
        raise ValueError("it names a file twice")
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"a text in it is {text!r}")
    if manifest.storage not in get_args(Storage) or not isinstance(manifest.options, dict):
        raise ValueError(f"its storage is {manifest.storage!r}, and its options are {manifest.options!r}")
