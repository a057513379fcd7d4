"""An empty index, with all that makes its descriptors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, get_args

from torch import nn

from landmarkzoo._utils.file_locks import writer_in_turn
from landmarkzoo.embedding.inference import check_module
from landmarkzoo.index.index_folder import IndexFolder, check_empty, make_folder, now
from landmarkzoo.index.manifest import MANIFEST_FILE, Manifest
from landmarkzoo.index.photo_embedder import PhotoEmbedder, load_model, named_options, new_embedder
from landmarkzoo.retrieval.shard_files import Storage


def created_index(
    path: Path, model: nn.Module | str | Path | None, storage: Storage, exist_ok: bool, **how: Any
) -> tuple[IndexFolder, nn.Module | None]:
    """The files of a new index, or of one that is there and is the same, and the model.

    Args:
        path: Its folder.
        model: The model, or its name.
        storage: Type of the vectors.
        exist_ok: Whether there may be an index.
        **how: What ``new_embedder`` takes.

    Raises:
        FileExistsError: If there is an index, or something else.
        OSError: If it cannot be written.
        TypeError: If the model is something else.
        ValueError: If an option is wrong, or the index that is there was made in another way.
    """
    if storage not in get_args(Storage):
        raise ValueError(f"storage must be one of {get_args(Storage)}, got {storage!r}")
    there = (path / MANIFEST_FILE).exists()
    if there and not exist_ok:
        raise FileExistsError(f"{path} is an index already: lz.Index.open opens it, or exist_ok=True")
    check_empty(path)
    name = model if isinstance(model, (str, Path)) else None
    loaded = load_model(model) if isinstance(model, (str, Path)) else model
    if loaded is not None:
        check_module(loaded)
    embedder = None if loaded is None else new_embedder(loaded, **how)
    if not there:
        there = not _made(path, embedder, name, storage)
        if there and not exist_ok:
            raise FileExistsError(f"another job has just made the index {path}: open it by lz.Index.open")
    files = IndexFolder(path)
    if there:
        _check_made_like(files, embedder, storage)
    return files, loaded


def _made(path: Path, embedder: PhotoEmbedder | None, name: str | Path | None, storage: Storage) -> bool:
    """Make the files, unless another job is quicker; whether they were made here."""
    path.mkdir(parents=True, exist_ok=True)
    with writer_in_turn(Path(os.path.realpath(path)) / MANIFEST_FILE):
        if (path / MANIFEST_FILE).exists():
            return False
        options = {} if embedder is None else named_options(embedder, name, path)
        provenance = {} if embedder is None else embedder.provenance
        make_folder(path, Manifest(now(), now(), storage, provenance=provenance, options=options))
    return True


def _check_made_like(files: IndexFolder, embedder: PhotoEmbedder | None, storage: Storage) -> None:
    manifest = files.last().manifest
    found = {**manifest.provenance, "storage": manifest.storage}
    wanted = {**({} if embedder is None else embedder.provenance), "storage": storage}
    for made in (found, wanted):
        made.setdefault("views", "scales (1.0,), flip False")  # provenance leaves out one plain view
    keys = ["storage"] if embedder is None else ["storage", "weights", "transform", "views"]
    for key in keys:
        if wanted.get(key) != found.get(key):
            raise ValueError(
                f"the index {files.path} is there, and its {key} is {found.get(key)}, not {wanted.get(key)}"
            )
