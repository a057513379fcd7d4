"""Processes read photos where nobody asked for it only if they can do no harm."""

import multiprocessing
import shutil
import subprocess
import sys
import threading
from collections import namedtuple

import pytest
import torch

import landmarkzoo as lz
from landmarkzoo.photos import photo_source, worker_count
from landmarkzoo.photos.worker_count import FEWEST, workers_for

CPU, GPU = torch.device("cpu"), torch.device("cuda")
FILES = photo_source([f"{i}.jpg" for i in range(FEWEST)])


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """Eight cores, a gigabyte of shared memory, processes that are forked."""
    monkeypatch.setattr(worker_count.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(worker_count, "_SHARED_MEMORY", worker_count.Path(__file__).parent)
    monkeypatch.setattr(worker_count.shutil, "disk_usage", lambda _: namedtuple("Usage", "free")(2**30))
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda allow_none=False: "fork")
    monkeypatch.setattr(worker_count.threading, "enumerate", lambda: [threading.main_thread()])


def count(source=FILES, size=64, batch=8, device=CPU):
    transform = lz.create_transform(lz.get_model_cfg("efficientnet_lite0_gem"), image_size=size)
    return workers_for(source, transform, batch, device)


def test_as_many_as_suit_the_machine():
    assert (count(), count(device=GPU)) == (2, 7)


def test_none_for_few_photos_or_what_is_in_memory():
    assert count(photo_source([f"{i}.jpg" for i in range(FEWEST - 1)])) == 0
    assert count(photo_source(torch.zeros(FEWEST, 3, 8, 8, dtype=torch.uint8))) == 0
    assert count(photo_source(lz.rendered.RenderedLandmarks(16, 4, 0, image_size=32))) == 0


def test_none_for_a_transform_of_the_users():
    assert workers_for(FILES, lambda photo: photo, 8, GPU) == 0


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_none_where_processes_are_not_forked(method, monkeypatch):
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda allow_none=False: method)
    assert count(device=GPU) == 0


def test_none_beside_threads(monkeypatch):
    monkeypatch.setattr(
        worker_count.threading, "enumerate", lambda: [threading.main_thread(), threading.Thread()]
    )
    assert count(device=GPU) == 0


def test_no_more_than_shared_memory_holds(monkeypatch):
    monkeypatch.setattr(worker_count.shutil, "disk_usage", lambda _: namedtuple("Usage", "free")(64 * 2**20))
    assert count(size=64, device=GPU) == 7
    assert count(size=448, batch=32, device=GPU) == 0


SCRIPT = """
import sys, multiprocessing
from multiprocessing import Process
import landmarkzoo as lz
def job():
    model = lz.create_model("efficientnet_lite0_gem")
    transform = lz.create_transform(model, image_size=32)
    d = lz.embed(model, sys.argv[1], transform=transform, progress=False)
    print(len(d), flush=True)
if sys.argv[2] == "daemon":
    process = Process(target=job, daemon=True)
    process.start()
    process.join()
else:
    if sys.argv[2] != "alone":
        multiprocessing.set_start_method(sys.argv[2])
    job()
"""


@pytest.mark.parametrize("way", ["alone", "spawn", "daemon"])
def test_a_script_without_a_main_guard(way, photo_folder, tmp_path):
    if way != "spawn" and "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork here")
    for row in range(FEWEST):
        shutil.copy(photo_folder / "0.png", photo_folder / f"copy {row}.png")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(photo_folder), way]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.stdout.strip(), done.stderr) == (str(FEWEST + 11), "")
