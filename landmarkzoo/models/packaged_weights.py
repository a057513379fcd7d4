"""Landmark weights that lie in this package, each in a folder as ``save_pretrained`` writes it.

``config.json`` in the folder is the entry of the zoo: what it states stands nowhere else. The weights are
stored in float16, and loaded as float32.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from landmarkzoo.hub.model_files import WEIGHTS_FILE, read_config
from landmarkzoo.models.model_cfg import ModelCfg

PACKAGE = "package:"  # before the name of the folder, in ``ModelCfg.weights``
FOLDER = Path(__file__).parent / "packaged"


def packaged_cfg(name: str) -> ModelCfg:
    """The entry of weights that lie in the package.

    Args:
        name: Name of their folder, ``"name.tag"``.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If its ``config.json`` is damaged.
    """
    return replace(ModelCfg.from_fields(read_config(FOLDER / name)), name=None)


def packaged_folder(weights: object) -> Path | None:
    """The folder of weights that lie in the package.

    Args:
        weights: Those of a ``ModelCfg``.

    Returns:
        The folder, or ``None`` if the weights are elsewhere.

    Raises:
        ValueError: If the package has none of that name.

    Examples:
        >>> packaged_folder(lz.get_model_cfg("efficientnet_lite0_gem.rendered").weights).name
        'efficientnet_lite0_gem.rendered'
        >>> packaged_folder("org/repo")
    """
    if not isinstance(weights, str) or not weights.startswith(PACKAGE):
        return None
    there = sorted(folder.name for folder in FOLDER.iterdir())
    name = weights.removeprefix(PACKAGE)
    if name not in there:
        raise ValueError(f"landmarkzoo has no weights {name!r} in its package; there are {', '.join(there)}")
    return FOLDER / name


def packaged_size(weights: object) -> int | None:
    """Bytes of weights that lie in the package, or ``None`` if they are elsewhere."""
    folder = packaged_folder(weights)
    return None if folder is None else (folder / WEIGHTS_FILE).stat().st_size
