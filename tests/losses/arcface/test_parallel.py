"""The head over several real processes (gloo, on this machine) against one process with the whole batch.

Each world size is started once: every process runs all checks of ``parallel_checks``, and an assertion
that fails in any of them fails the test. Where the system has a fork server, it imports once for all.
"""

import pickle

import pytest
import torch
from parallel_checks import run_checks
from torch import multiprocessing

import landmarkzoo as lz
from landmarkzoo.losses.arcface.class_parallel import ProcessGroupInfo, shard


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_equals_one_process(world_size, tmp_path):
    server = "forkserver" in multiprocessing.get_all_start_methods()
    if server:
        multiprocessing.set_forkserver_preload(["parallel_checks", "landmarkzoo"])
    # raises what a process raises, and ends the others
    multiprocessing.start_processes(
        run_checks,
        (world_size, str(tmp_path)),
        nprocs=world_size,
        start_method="forkserver" if server else "spawn",
    )


@pytest.mark.parametrize(("classes", "count"), [(8, 3), (81_313, 7), (3, 3), (5, 1)])
def test_shards_are_all_classes_in_order(classes, count):
    shards = [shard(classes, rank, count) for rank in range(count)]
    assert [c for part in shards for c in part] == list(range(classes))
    assert [len(part) for part in shards] == [classes // count + (r < classes % count) for r in range(count)]


def test_a_shard_takes_its_part_of_a_whole_weight_and_one_process_all_of_it():
    head = lz.SubCenterArcFaceDynamic(4, 5, margins=0.3)
    with pytest.raises(RuntimeError, match="size mismatch"):
        head.load_state_dict({"weight": torch.zeros(14, 4)})


def test_a_shard_is_only_loaded_as_what_it_is():
    head = lz.SubCenterArcFaceDynamic(4, 3)
    saved = head.state_dict()
    saved._metadata[""]["classes"] = [3, 6, 8]  # as a process that owns these classes saves it
    with pytest.raises(ValueError, match="has classes 3 to 5 of 8, the head on this process 0 to 2 of 3"):
        head.load_state_dict(saved)


def test_pickling_without_a_group():
    assert pickle.loads(pickle.dumps(ProcessGroupInfo())) == ProcessGroupInfo()
