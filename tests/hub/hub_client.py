"""What tests do with the Hub, in a process of its own: the client reads its address when it is imported."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

import landmarkzoo as lz
from landmarkzoo import cli
from landmarkzoo.hub import client_errors
from landmarkzoo.hub.client import HubOptions
from landmarkzoo.hub.published_files import WeightsFile, fetch
from landmarkzoo.models import DescriptorModel, registry


@dataclass(frozen=True)
class Loaded:
    """What came, and what was said."""

    cfg: lz.ModelCfg
    output: np.ndarray
    log: list[str]


def descriptors(model: DescriptorModel) -> np.ndarray:
    """Descriptors of the same two images in every process."""
    images = torch.linspace(-1, 1, 2 * 3 * 32 * 32).view(2, 3, 32, 32)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums depend on how they are split
    try:
        with torch.no_grad():
            return model.eval()(images).numpy()
    finally:
        torch.set_num_threads(threads)


def load(name: str, **options: Any) -> Loaded:
    """Create a model by its name."""
    with logged() as log:
        model = lz.create_model(name, **options)
    return Loaded(model.cfg, descriptors(model), log)


def backbone_weights(name: str, **options: Any) -> dict[str, np.ndarray]:
    """State dict of a backbone with ImageNet weights."""
    model = lz.create_model("efficientnet_lite0_gem", pretrained_backbone=True, backbone=name, **options)
    return {key: tensor.numpy() for key, tensor in model.backbone.state_dict().items()}


def kept_state_dicts(name: str, **options: Any) -> list[str]:
    """Modules of a pyramid with ImageNet weights that keep the file they came from."""
    model = lz.create_model(
        "dolg_efficientnet_lite0", pretrained_backbone=True, backbone=name, hidden_dim=8, **options
    )
    return [
        module
        for module, part in model.named_modules()
        for known in (getattr(part, "pretrained_cfg", None), getattr(part, "default_cfg", None))
        if known and "state_dict" in known
    ]


def load_without_patience(name: str, **options: Any) -> Loaded:
    """The same, while the client does not wait before it tries again."""
    with mock.patch.object(time, "sleep"):
        return load(name, **options)


def load_head_without_patience(name: str, **options: Any) -> tuple[np.ndarray, list[str] | None]:
    """The same for a head."""
    with mock.patch.object(time, "sleep"):
        return load_head(name, **options)


def load_head_without_waiting(name: str, **options: Any) -> tuple[np.ndarray, list[str] | None]:
    """The same for a client that must not wait at all."""
    with mock.patch.object(time, "sleep", side_effect=AssertionError("the client waits to try again")):
        return load_head(name, **options)


def load_and_write_log(name: str, path: Path, **options: Any) -> Loaded:
    """Create a model, with a warning after a moment; what is logged appears in a file at once."""

    def write(record: logging.LogRecord) -> None:
        path.with_suffix(".tmp").write_text(record.getMessage())
        path.with_suffix(".tmp").rename(path)

    handler = logging.Handler(logging.WARNING)
    handler.emit = write  # type: ignore[method-assign]
    logger = logging.getLogger("landmarkzoo")
    logger.addHandler(handler)
    try:
        with mock.patch.object(client_errors, "_SLOW_SECONDS", 0.05):
            return load(name, **options)
    finally:
        logger.removeHandler(handler)


def load_published(weights: str, folder: Path, changes: dict[str, Any], **options: Any) -> Loaded:
    """Create a registered model whose entry names a repository."""
    cfg = replace(lz.create_model(f"local-dir:{folder}").cfg, name=None, weights=weights, **changes)
    with mock.patch.dict(registry._MODELS, {"published": {"": cfg}}):
        assert "published" in lz.list_models(pretrained=True)
        return load("published", pretrained=True, **options)


def load_entry(cfg: lz.ModelCfg, **options: Any) -> Loaded:
    """Create "tiny.first" with its weights, whose entry is ``cfg``."""
    with mock.patch.dict(registry._MODELS, {"tiny": {"first": cfg}}):
        return load("tiny.first", pretrained=True, **options)


def run_command_with_published(weights: str, folder: Path, *arguments: str) -> tuple[int, str]:
    """The same for a registered model, called "published", whose entry names a repository."""
    cfg = replace(lz.create_model(f"local-dir:{folder}").cfg, name=None, weights=weights)
    lz.register_model("published", cfg, exist_ok=True)
    try:
        return run_command(*arguments)
    finally:
        del registry._MODELS["published"]


def fetch_published(weights: WeightsFile, license: str | None = "MIT", **options: Any) -> tuple[Path, str]:
    """A file that others have published, and what is said on stderr."""
    with contextlib.redirect_stderr(io.StringIO()) as stderr:
        path = fetch(weights, HubOptions(**options), name="megaloc.test", license=license)
    return path, stderr.getvalue()


def load_head(name: str, **options: Any) -> tuple[np.ndarray, list[str] | None]:
    """Centers and class names of a head."""
    head, names = lz.load_head(name, **options)
    return head.weight.detach().numpy(), names


def push(folder: Path, repo: str, with_head: bool = True, with_names: bool = True, **options: Any) -> str:
    """Push what is in a folder."""
    head, names = lz.load_head(f"local-dir:{folder}") if with_head else (None, None)
    model = lz.create_model(f"local-dir:{folder}")
    return model.push_to_hub(repo, head, names if with_names else None, **options)


def run_command(*arguments: str) -> tuple[int, str]:
    """Exit code and stderr of a command."""
    with contextlib.redirect_stderr(io.StringIO()) as stderr:
        code = cli.main(arguments)
    return code, stderr.getvalue()


@contextlib.contextmanager
def logged() -> Iterator[list[str]]:
    """Collect the warnings that landmarkzoo logs."""
    log: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: log.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("landmarkzoo")
    logger.addHandler(handler)
    try:
        yield log
    finally:
        logger.removeHandler(handler)


def environment(url: str, home: Path, **more: str) -> dict[str, str]:
    """Of a process that knows the test server as the Hub; nothing of the user's own settings is left."""
    clean = {name: "" for name in os.environ if name.startswith(("HF_", "HUGGING_FACE_"))}
    quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "127.0.0.1,localhost", "OMP_NUM_THREADS": "1"}
    return {**clean, **quiet, "HF_ENDPOINT": url, "HF_HOME": str(home), **more}


def start(environment: dict[str, str]) -> ProcessPoolExecutor:
    """A process with this environment, started now."""
    pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    with mock.patch.dict("os.environ", environment):
        pool.submit(int).result()
    return pool
