"""A head on disk: ``head.safetensors`` with its tensors and arguments, ``classes.json`` with the class names.

The first holds the state dict, the numbers of each class, and the arguments as JSON in its header. Heads
whose classes are split over processes are written as one file, and read by any number of processes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch import distributed as dist

from landmarkzoo._utils.atomic_writing import write_together
from landmarkzoo._utils.bounded_building import TooLargeError, largest_argument, no_larger_than, tensors_in
from landmarkzoo._utils.checks import as_device
from landmarkzoo._utils.registering import arguments_of, check_registered
from landmarkzoo.losses.base_head import Head, registered_head

HEAD_FILE = "head.safetensors"
CLASSES_FILE = "classes.json"
_FORMAT = "landmarkzoo.head.v1"


def save_head(head: Head, folder: str | Path, class_names: Sequence[str] | None = None) -> None:
    """Write a head, and the names of its classes, into a folder: all files, or none.

    With a process group all processes must call it; the first one writes.

    Args:
        head: A head of landmarkzoo, or one of your own that ``register_head`` knows.
        folder: Where to; created if it does not exist.
        class_names: Name of each class, in order.

    Raises:
        OSError: If the folder cannot be created or written.
        TypeError: If ``head`` is not a registered head, or has an argument that JSON cannot hold.
        ValueError: If there are not as many names as classes, or two tensors of the head share memory.

    Examples:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> save_head(lz.SubCenterArcFaceDynamic(8, 2, margins=0.3), folder, ["Taj Mahal", "Charminar"])
        >>> head, names = lz.load_head(f"local-dir:{folder}")
        >>> head.weight.shape, names
        (torch.Size([6, 8]), ['Taj Mahal', 'Charminar'])
    """
    save_head_beside({}, head, folder, class_names)


def save_head_beside(
    others: Mapping[str, Callable[[Path], object]],
    head: Head,
    folder: str | Path,
    class_names: Sequence[str] | None = None,
) -> None:
    """``save_head`` together with other files, such as those of the model: all of them, or none.

    Args:
        others: Name of each file, and what writes it to the path that it is given.
        head: As for ``save_head``.
        folder: As for ``save_head``.
        class_names: As for ``save_head``.
    """
    check_head(head)
    names: list[str] | None = None
    error: Exception | None = None
    try:
        names = None if class_names is None else checked_class_names(class_names, head.num_classes)
        if head.weight.is_meta:
            raise ValueError("the head has no centers that could be written: it is on the meta device")
    except (TypeError, ValueError) as problem:
        error = problem
    head.raise_together(error)
    weight = head.whole_weight()
    try:
        if weight is not None:
            # The old ones go first, so that they never stand beside a new model or head. The new ones come
            # before the others, so that a model never stands without its head.
            write_together(folder, {**_writers(head, weight, names), **others}, (HEAD_FILE, CLASSES_FILE))
    except (OSError, TypeError, ValueError) as problem:
        error = problem
    head.raise_together(error)  # so nobody returns before the files are there


def check_head(head: Head) -> None:
    """Check that a head can be saved, and would come back as it is.

    Raises:
        TypeError: If it is not a head, its class is not registered, or JSON cannot hold an argument.
        ValueError: If two of its tensors share memory.
    """
    if not isinstance(head, Head):
        raise TypeError(
            f"head must be a lz.losses.Head, such as SubCenterArcFaceDynamic, got {type(head).__name__}; "
            "of a head that is compiled or wrapped, give the head itself"
        )
    name = type(head).__name__
    try:
        registered: type[Head] | None = registered_head(name)
    except ValueError:
        registered = None
    check_registered(type(head), registered, "write @lz.losses.register_head above the class")
    _check_tensors(head)
    _check_comes_back(head)


def _check_comes_back(head: Head) -> None:
    """Raise if a head that is built from its arguments, without memory for weights, has other arguments."""
    kind, arguments = type(head), head.arguments()
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            again = kind(**arguments).arguments()
    except RuntimeError:  # a constructor that computes with its weights: seen when it is loaded
        return
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"a saved {kind.__name__} could not be loaded, as {kind.__name__}(**arguments) fails with "
            f"{type(error).__name__}: {error}. The arguments are {arguments}: keep those of the class itself "
            "as attributes, and put those that it sets for its parent into not_saved"
        ) from error
    changed = [name for name in arguments if again.get(name) != arguments[name]]
    if changed:
        raise ValueError(
            f"a saved {kind.__name__} would come back with {changed[0]}={again.get(changed[0])!r}, not "
            f"{arguments[changed[0]]!r}: self.{changed[0]} must be the argument as it was given"
        )


def _check_tensors(head: Head) -> None:
    names: dict[int, str] = {}
    for name, tensor in head.state_dict().items():
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"{type(head).__name__} has {name} in its state dict, a {type(tensor).__name__}: a file of a "
                "head holds tensors, and arguments as JSON"
            )
        if tensor.numel() == 0 or tensor.is_meta:
            continue
        other = names.setdefault(tensor.untyped_storage().data_ptr(), name)
        if other != name:
            raise ValueError(
                f"the tensors {other} and {name} of this {type(head).__name__} share memory, which a file "
                "does not keep: use one parameter in both places, or clone one of them"
            )


def _writers(head: Head, weight: Tensor, names: list[str] | None) -> dict[str, Callable[[Path], object]]:
    tensors = {**head.state_dict(), **head.per_class()}
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items() if name != "weight"}
    tensors["weight"] = weight
    metadata = {"format": _FORMAT, "class": type(head).__name__, "arguments": json.dumps(head.arguments())}
    writers: dict[str, Callable[[Path], object]] = {HEAD_FILE: partial(save_file, tensors, metadata=metadata)}
    if names is not None:
        text = json.dumps(names, ensure_ascii=False, indent=0)
        writers[CLASSES_FILE] = lambda path: path.write_text(text, encoding="utf-8")
    return writers


def checked_class_names(class_names: Sequence[str], num_classes: int) -> list[str]:
    """Names of classes as a list of strings.

    Raises:
        TypeError: If they have no order, or one is not a string.
        ValueError: If there are not as many as classes.
    """
    if isinstance(class_names, (str, Mapping, Set)):
        raise TypeError(
            f"class_names must be a list in the order of the classes, got {type(class_names).__name__}"
        )
    if len(class_names) != num_classes:
        raise ValueError(
            f"got {len(class_names)} class names for {num_classes} classes: class_names[c] is that of class c"
        )
    wrong = [name for name in class_names if not isinstance(name, str)]
    if wrong:
        raise TypeError(f"class_names must be strings, got {wrong[0]!r}")
    return [str(name) for name in class_names]


def read_head(
    folder: str | Path,
    *,
    process_group: dist.ProcessGroup | None = None,
    device: torch.device | str | None = None,
) -> tuple[Head, list[str] | None]:
    """Read a head and the names of its classes from a folder.

    Args:
        folder: Where ``save_head`` or ``save_pretrained`` wrote them.
        process_group: Split the classes over these processes, if the head can be; each reads its part of
            the file only.
        device: Where the head goes.

    Returns:
        The head, in training mode, and the class names, or ``None`` if none were saved.

    Raises:
        FileNotFoundError: If the folder holds no head.
        ValueError: If a file is damaged, its head is of a class that is not registered, or nothing can be
            computed on the device.
    """
    folder, device = Path(folder), as_device(device)
    path = folder / HEAD_FILE
    if not path.is_file():
        there = "holds a model but no head" if (folder / "config.json").is_file() else "does not hold one"
        raise FileNotFoundError(
            f"no {HEAD_FILE}: the folder {folder} {there}; save_pretrained(..., head=head) saves one"
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            head = _read(file, path, process_group, device)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or not a safetensors file: {error}") from error
    return head, _class_names(folder / CLASSES_FILE, head.num_classes)


def _read(file: Any, path: Path, group: dist.ProcessGroup | None, device: torch.device) -> Head:
    head_class, arguments = _class_and_arguments(file.metadata() or {}, path)
    weight, dtype = _slice_of_weight(file, arguments, path)
    tensors = {name: file.get_tensor(name) for name in file.keys() if name != "weight"}  # noqa: SIM118
    takes = set(arguments_of(head_class)) - head_class.not_saved
    arguments |= {name: tensors.pop(name) for name in takes & set(tensors)}  # one number a class
    try:
        with no_larger_than(tensors_in(path)):
            head = head_class.build(arguments, process_group=group, dtype=dtype)
    except (TypeError, ValueError, RuntimeError, OverflowError, MemoryError) as error:
        hint = ""
        if isinstance(error, TypeError):
            hint = ". Is it of a newer landmarkzoo, or of another version of your class?"
        elif isinstance(error, TooLargeError):
            hint = f". Its largest argument is {largest_argument(arguments)}"
        cause = str(error).partition("\n")[0]
        raise ValueError(f"cannot build the {head_class.__name__} of {path}: {cause}{hint}") from error
    right = [head.num_classes * head.sub_centers, head.embedding_dim]
    if list(weight.get_shape()) != right:
        raise ValueError(f"{path} is damaged: its weight has shape {weight.get_shape()}, not {right}")
    shard, k = head.shard, head.sub_centers
    tensors["weight"] = weight[shard.start * k : shard.stop * k]
    # Tensors of a file are views of the file: the head gets its own. It takes their dtypes as well.
    tensors = {name: tensor.to(device, copy=True) for name, tensor in tensors.items()}
    try:
        head.load_state_dict(tensors, strict=True, assign=True)
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"{path} does not hold the tensors of a {head_class.__name__} as it is defined now: {error}"
        ) from error
    return head.to(device)


def _slice_of_weight(file: Any, arguments: Mapping[str, Any], path: Path) -> tuple[Any, torch.dtype]:
    """The centers, not read yet, and their dtype."""
    if "weight" not in file.keys():  # noqa: SIM118 - safetensors has no __contains__
        raise ValueError(f"{path} is damaged: it has no weight, the centers of the classes")
    weight = file.get_slice("weight")
    shape = list(weight.get_shape())
    if len(shape) != 2:
        dim = arguments.get("embedding_dim", "D")
        raise ValueError(f"{path} is damaged: its weight has shape {shape}, not [centers, {dim}]")
    dtype = weight[:0].dtype
    if not dtype.is_floating_point:
        raise ValueError(f"{path} is damaged: its weight is {dtype}, not floating point")
    return weight, dtype


def _class_and_arguments(metadata: Mapping[str, str], path: Path) -> tuple[type[Head], dict[str, Any]]:
    if metadata.get("format") != _FORMAT:
        raise ValueError(
            f"{path} was not written by this version of landmarkzoo: its format is "
            f"{metadata.get('format')!r}, not {_FORMAT!r}; if a newer one wrote it, upgrade"
        )
    try:
        name, arguments = metadata["class"], json.loads(metadata["arguments"])
        arguments = dict(arguments)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: class or arguments of the head are missing") from error
    try:
        return registered_head(name), arguments
    except ValueError as error:
        raise ValueError(f"cannot read {path}: {error}") from error


def _class_names(path: Path, num_classes: int) -> list[str] | None:
    if not path.is_file():
        return None
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(names, list) or len(names) != num_classes or not all(isinstance(n, str) for n in names):
        raise ValueError(f"{path} must be a list of {num_classes} names, one a class of the head")
    return names
