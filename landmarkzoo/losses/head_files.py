"""A head on disk: ``head.safetensors`` with its centers and arguments, ``classes.json`` with the class names.

Heads whose classes are spread over processes are written as one file, and read by any number of processes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch import distributed as dist

from landmarkzoo._utils.atomic_writing import atomic_write
from landmarkzoo.losses.arcface.head import SubCenterArcFaceDynamic
from landmarkzoo.losses.arcface.parallel import DistributedBatch

HEAD_FILE = "head.safetensors"
CLASSES_FILE = "classes.json"
_FORMAT = "landmarkzoo.head.v1"
_ARGUMENTS = (
    "embedding_dim",
    "num_classes",
    "sub_centers",
    "scale",
    "label_smoothing",
    "reduction",
    "products",
    "sample_rate",
)


def save_head(
    head: SubCenterArcFaceDynamic, folder: str | Path, class_names: Sequence[str] | None = None
) -> None:
    """Write a head, and the names of its classes, into a folder; each file whole or not at all.

    With a process group all processes must call it; the first one writes.

    Args:
        head: The head.
        folder: Where to; made if it is not there.
        class_names: Name of each class, in order.

    Raises:
        OSError: If the folder cannot be made or written.
        TypeError: If the head is none.
        ValueError: If there are not as many names as classes.

    Examples:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> save_head(lz.SubCenterArcFaceDynamic(8, 2, margins=0.3), folder, ["Taj Mahal", "Charminar"])
        >>> head, names = lz.load_head(f"local-dir:{folder}")
        >>> head.weight.shape, names
        (torch.Size([6, 8]), ['Taj Mahal', 'Charminar'])
    """
    if not isinstance(head, SubCenterArcFaceDynamic):
        raise TypeError(
            f"head must be a SubCenterArcFaceDynamic, got {type(head).__name__}; of a head that is compiled "
            "or wrapped give the head itself"
        )
    folder, names = Path(folder), None
    error: Exception | None = None
    try:
        names = None if class_names is None else _checked_names(class_names, head.num_classes)
        if head.ranks.rank == 0:
            folder.mkdir(parents=True, exist_ok=True)
    except (OSError, TypeError, ValueError) as problem:
        error = problem
    DistributedBatch.exchange(head.ranks, 1, head.weight.device, error)  # all go on, or none
    weight = gather_weight(head)
    try:
        if weight is not None:
            _write(head, weight, folder, names)
    except OSError as problem:
        error = problem
    DistributedBatch.exchange(
        head.ranks, 1, head.weight.device, error
    )  # nobody returns before the files are there


def _write(head: SubCenterArcFaceDynamic, weight: Tensor, folder: Path, names: list[str] | None) -> None:
    tensors = {"weight": weight}
    for name in ("margins", "class_weights"):
        if getattr(head, name) is not None:
            tensors[name] = getattr(head, name).detach().cpu().contiguous()
    arguments = {name: getattr(head, name) for name in _ARGUMENTS}
    (folder / CLASSES_FILE).unlink(missing_ok=True)  # never the names of another head beside this one
    with atomic_write(folder / HEAD_FILE) as temporary:
        save_file(tensors, str(temporary), {"format": _FORMAT, "arguments": json.dumps(arguments)})
    if names is not None:
        with atomic_write(folder / CLASSES_FILE) as temporary:
            temporary.write_text(json.dumps(names, ensure_ascii=False, indent=0), encoding="utf-8")


def _checked_names(class_names: Sequence[str], num_classes: int) -> list[str]:
    if isinstance(class_names, (str, Mapping, Set)):
        raise TypeError(
            f"class_names must be a list in the order of the classes, got {type(class_names).__name__}"
        )
    if len(class_names) != num_classes:
        raise ValueError(
            f"got {len(class_names)} class names for {num_classes} classes: class_names[c] is that of class c"
        )
    return [str(name) for name in class_names]


@torch.no_grad()
def gather_weight(head: SubCenterArcFaceDynamic) -> Tensor | None:
    """The centers of all classes (C * K, D) on the CPU of the first process; ``None`` on the others."""
    ours = head.weight.detach().contiguous()
    group = head.ranks.group
    if group is None:
        return ours.cpu()
    if head.ranks.rank > 0:
        dist.send(ours, dist.get_global_rank(group, 0), group)
        return None
    whole = torch.empty(head.num_classes * head.sub_centers, head.embedding_dim, dtype=ours.dtype)
    whole[: len(ours)] = ours.cpu()
    start = len(ours)
    for rank in range(1, head.ranks.count):  # one after the other: never two shards beside the whole
        part = torch.empty(
            len(head.ranks.shard_of(rank, head.num_classes)) * head.sub_centers,
            head.embedding_dim,
            dtype=ours.dtype,
            device=ours.device,
        )
        dist.recv(part, dist.get_global_rank(group, rank), group)
        whole[start : start + len(part)] = part.cpu()
        start += len(part)
    return whole


def read_head(
    folder: str | Path,
    *,
    process_group: dist.ProcessGroup | None = None,
    device: torch.device | str | None = None,
) -> tuple[SubCenterArcFaceDynamic, list[str] | None]:
    """Read a head and the names of its classes from a folder.

    Args:
        folder: Where :func:`save_head` or ``save_pretrained`` wrote them.
        process_group: Spread the classes over these processes; each reads its part of the file only.
        device: Where the head goes.

    Returns:
        The head, in training mode, and the class names, or ``None`` if none were saved.

    Raises:
        FileNotFoundError: If the folder holds no head.
        ValueError: If a file is not as it should be.
    """
    folder = Path(folder)
    path = folder / HEAD_FILE
    if not path.is_file():
        there = "holds a model but no head" if (folder / "config.json").is_file() else "does not hold one"
        raise FileNotFoundError(f"no {HEAD_FILE}: the folder {folder} {there}. Save it with head=...")
    try:
        with safe_open(str(path), framework="pt") as file:
            head = _read(file, path, process_group, device)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or no safetensors file: {error}") from error
    return head, _class_names(folder / CLASSES_FILE, head.num_classes)


def _read(
    file: Any, path: Path, group: dist.ProcessGroup | None, device: torch.device | str | None
) -> SubCenterArcFaceDynamic:
    metadata = file.metadata() or {}
    if metadata.get("format") != _FORMAT:
        raise ValueError(
            f"{path} is no head of this version of landmarkzoo: its format is {metadata.get('format')!r}, "
            f"{_FORMAT!r} is needed; if a newer one wrote it, upgrade"
        )
    try:
        arguments = json.loads(metadata["arguments"])
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path} is damaged: the arguments of the head are missing") from error
    for name in ("margins", "class_weights"):
        if name in file.keys():  # noqa: SIM118 - a safetensors file is no dictionary
            arguments[name] = file.get_tensor(name)
    weight = file.get_slice("weight")
    dtype = file.get_slice("weight")[:0].dtype
    try:
        head = SubCenterArcFaceDynamic(**arguments, process_group=group, device="meta", dtype=dtype)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is damaged or of a newer landmarkzoo: {error}") from error
    right = [head.num_classes * head.sub_centers, head.embedding_dim]
    if list(weight.get_shape()) != right:
        raise ValueError(f"{path} is damaged: its weight has shape {weight.get_shape()}, not {right}")
    shard, k = head.shard, head.sub_centers
    head = head.to_empty(device=device or "cpu")
    with torch.no_grad():
        head.weight.copy_(weight[shard.start * k : shard.stop * k])
    return head


def _class_names(path: Path, num_classes: int) -> list[str] | None:
    if not path.is_file():
        return None
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(names, list) or len(names) != num_classes:
        raise ValueError(f"{path} must be a list of {num_classes} names, one a class of the head")
    return names
