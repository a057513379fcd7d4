"""The head over several real processes (gloo, on this machine) against one process with the whole batch.

Each world size is started once: every process runs all checks of ``parallel_checks`` and an assertion
that fails in any of them fails the test.
"""

import pytest
import torch
from parallel_checks import run_checks
from torch import multiprocessing

import landmarkzoo as lz
from landmarkzoo.losses.arcface.parallel import shard


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_equals_one_process(world_size, tmp_path):
    # spawn raises what a process raises, and ends the others
    multiprocessing.spawn(run_checks, (world_size, str(tmp_path)), nprocs=world_size)


@pytest.mark.parametrize(("classes", "count"), [(8, 3), (81_313, 7), (3, 3), (5, 1)])
def test_shards_are_all_classes_in_order(classes, count):
    shards = [shard(classes, rank, count) for rank in range(count)]
    assert [c for part in shards for c in part] == list(range(classes))
    assert [len(part) for part in shards] == [classes // count + (r < classes % count) for r in range(count)]


def test_a_shard_takes_its_part_of_a_whole_weight_and_one_process_all_of_it():
    head = lz.SubCenterArcFaceDynamic(4, 5, margins=0.3)
    with pytest.raises(RuntimeError, match="size mismatch"):
        head.load_state_dict({"weight": torch.zeros(14, 4)})
