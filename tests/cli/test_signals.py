"""Ctrl-C, SIGTERM and SIGHUP at any moment: one line, and what is done is kept."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from pseudo_terminal import open_terminal, rest_of

import landmarkzoo as lz

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX, pseudo terminals")

STOPPED = {
    signal.SIGINT: (130, "landmarkzoo: interrupted\n"),
    signal.SIGTERM: (143, "landmarkzoo: terminated\n"),
}
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as under nohup
    STOPPED[signal.SIGHUP] = (129, "landmarkzoo: terminated\n")


def at_import(module, number, argv):
    """A command that gets a signal when it starts to import a module."""
    return (
        "import os, sys\n"
        "class Kill:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Kill())\n"
        f"sys.argv = ['landmarkzoo', *{argv!r}]\n"
        "from landmarkzoo.cli import main\n"
        "sys.exit(main())"
    )


@pytest.mark.parametrize("number", STOPPED)
@pytest.mark.parametrize("module", ["torch", "torch.nn", "timm", "landmarkzoo.rerank"])
def test_during_imports(module, number, tmp_path):
    script = at_import(module, number, ["search", "a", "b"])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr, done.stdout) == (*STOPPED[number], "")


def test_when_all_is_done(tmp_path):
    script = (
        "import atexit, os, signal, sys\n"
        "sys.argv = ['landmarkzoo', 'models', 'dolg*']\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
        "from landmarkzoo.cli import main\n"
        "sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "dolg_efficientnet_b5" in done.stdout


def test_a_signal_that_is_ignored_stays_so(tmp_path):
    script = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    script += at_import("timm", signal.SIGINT, ["models", "dolg*"])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")  # as of nohup, and of jobs of scripts in the background


@pytest.mark.parametrize("number", STOPPED)
def test_an_index_keeps_what_is_done(many_photos, tmp_path, number):
    model = lz.GlobalDescriptor("test_efficientnet", neck="fc-bn", embedding_dim=8)
    for name in ("index", "whole"):
        lz.Index.create(tmp_path / name, model, batch_size=4)
    add = ["index", "add", str(tmp_path / "index"), str(many_photos)]
    script = (
        "import os, sys\n"
        "from landmarkzoo.embedding.tta import TestTimeAugmentation\n"
        "embed, calls = TestTimeAugmentation.embed, []\n"
        "def counted(self, run, images):\n"
        "    calls.append(images)\n"
        f"    if len(calls) == 5: os.kill(os.getpid(), {int(number)})\n"
        "    return embed(self, run, images)\n"
        "TestTimeAugmentation.embed = counted\n"
        f"sys.argv = ['landmarkzoo', *{add!r}]\n"
        "from landmarkzoo.cli import main\n"
        "sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    code, line = STOPPED[number]
    kept = "; what is done is kept, and the same command goes on from there\n"
    assert (done.returncode, done.stderr, done.stdout) == (code, line[:-1] + kept, "")
    assert len(lz.Index.open(tmp_path / "index")) == 16
    done = subprocess.run([sys.executable, "-m", "landmarkzoo", *add], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("60 photos, 16 before, 0 skipped")
    whole, index = lz.Index.open(tmp_path / "whole", model=model), lz.Index.open(tmp_path / "index")
    whole.add(many_photos, progress=False)
    assert index.ids == whole.ids
    np.testing.assert_array_equal(index.vectors, whole.vectors)


@pytest.fixture(scope="module")
def many_photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for n in range(60):
        Image.fromarray(random.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(folder / f"{n:03}.png")
    return folder


def embed_until(photos, out, done, *options):
    """Start the command in a terminal of its own; return when so many photos are done."""
    command = [sys.executable, "-m", "landmarkzoo", "embed", photos, "--out", out, "--image-size", "96"]
    command += ["--batch-size", "1", *options]
    ours, theirs = open_terminal()
    process = subprocess.Popen(command, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown = b""
    while not [n for n in re.findall(rb"(\d+)/60", shown) if int(n) >= done]:
        shown += os.read(ours, 4096)
    return process, ours


@pytest.mark.parametrize(("number", "workers"), [*((number, 0) for number in STOPPED), (signal.SIGINT, 2)])
def test_during_work(many_photos, tmp_path, number, workers):
    out = tmp_path / "x.st"
    process, terminal = embed_until(many_photos, out, 5, "--workers", str(workers))
    for _ in range(2):  # shells, containers and impatient people send two
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does: to the workers too
        else:
            process.send_signal(number)
        time.sleep(0.02)
    code, line = STOPPED[number]
    assert process.wait() == code
    shown = rest_of(terminal)
    assert shown.endswith(line)
    assert "Traceback" not in shown
    assert "Exception" not in shown
    assert shown.count(line) == 1
    assert not out.exists()
    process, terminal = embed_until(many_photos, out, 5)  # which the part of the first run counts for
    assert process.wait() == 0
    assert int(re.findall(r"(\d+)/60", rest_of(terminal))[-1]) == 60
    model = lz.create_model("efficientnet_lite0_gem", pretrained_backbone=True, neck="none")
    transform = lz.create_transform(model, image_size=96)
    expected = lz.embed(model, many_photos, transform=transform, batch_size=1, progress=False)
    np.testing.assert_array_equal(lz.Descriptors.load(out).vectors, expected.vectors)
