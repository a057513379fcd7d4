"""What tests and doctests share: how many processes run them, names, and a registry that stays as it is."""

import os
from collections.abc import Iterator
from unittest import mock

# Where several processes share the cores each takes one thread, and so do the processes that tests start.
# Set before torch is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch

import landmarkzoo as lz
from landmarkzoo.models import descriptor_model, registry

# A package to install, not tests: importing it would register its model.
collect_ignore = ["tests/models/third_party"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The suite and its folders run on all cores, at most eight; a named file runs in this process."""
    if any(".py" in argument for argument in config.args):
        return 0
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 8)


@pytest.fixture(autouse=True)
def _doctest_names(doctest_namespace: dict[str, object]) -> None:
    doctest_namespace.update(lz=lz, np=np, torch=torch)


@pytest.fixture(autouse=True)
def _registry_as_it_was() -> Iterator[None]:
    """What a test or an example registers is forgotten after it."""
    with mock.patch.dict(registry._MODELS), mock.patch.dict(descriptor_model.ARCHITECTURES):
        yield
