"""What processes that read photos say when the job is stopped."""

import select
import socket
import sys
from multiprocessing.resource_sharer import DupFd

import numpy as np
import pytest
from torch.utils.data import Dataset, get_worker_info

import landmarkzoo as lz

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="tensors are handed over in another way")


def hang_up():
    """A worker hands a file descriptor over, as it does with tensors, to somebody who goes away."""
    shared = DupFd(1)
    address, _ = shared._id
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(address)
        select.select([client], [], [])  # its challenge is here, and is never read
    shared.detach()  # comes after the one who went away


class HungUp(Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, row):
        if get_worker_info() is not None:  # the first photo is looked at in the main process too
            hang_up()
        return np.zeros((8, 8, 3), np.uint8)


def test_no_traceback_if_the_job_is_stopped_while_a_tensor_is_handed_over(tiny_model, capfd):
    assert len(lz.embed(tiny_model, HungUp(), num_workers=1, progress=False)) == 1
    assert capfd.readouterr().err == ""
