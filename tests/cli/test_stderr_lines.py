"""Whatever goes wrong: one line on stderr and exit code 2."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from pseudo_terminal import open_terminal, rest_of

import landmarkzoo as lz
from landmarkzoo.cli import main
from landmarkzoo.cli.stderr_lines import error_line, printable

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "LANDMARKZOO_TRACEBACK"}


def landmarkzoo(*arguments, **options):
    """Run a command in a process of its own."""
    command = [sys.executable, "-m", "landmarkzoo", *map(str, arguments)]
    options = {"env": ENVIRONMENT, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run(command, **options)


ERRORS = [
    (
        RuntimeError("mat1 and mat2\n  shapes cannot be multiplied"),
        "RuntimeError: mat1 and mat2 shapes cannot be",
    ),
    (KeyError("weights"), "KeyError: 'weights'"),
    (TypeError("x"), "TypeError: x"),
    (RecursionError("maximum recursion depth exceeded"), "RecursionError: maximum recursion depth"),
    (AssertionError(), "AssertionError:"),
    (ValueError(), "ValueError:"),
    (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
    (ValueError("two\nlines"), "two lines"),
    (
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        "'utf-8' codec can't decode byte 0xff",
    ),
    (
        ModuleNotFoundError("No module named 'onnx.x'", name="onnx.x"),
        "No module named 'onnx.x': pip install onnx",
    ),
    (
        ModuleNotFoundError("a frame needs pandas: pip install pandas"),
        "a frame needs pandas: pip install pandas",
    ),
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "give a smaller --batch-size"),
    (MemoryError(), "out of memory: give a smaller --batch-size"),
    (RuntimeError("[enforce fail at alloc_cpu.cpp:124] . 4000000000 bytes"), "out of memory: give a smaller"),
    (lz.WeightsNotFoundError("no weights"), "no weights"),
]


@pytest.mark.parametrize(("error", "message"), ERRORS, ids=lambda x: type(x).__name__)
def test_every_error_is_one_line_and_code_2(capsys, monkeypatch, tmp_path, error, message):
    def fail(*args, **kwargs):
        raise error

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    monkeypatch.setattr("landmarkzoo.models.create_model", fail)
    assert main(["embed", str(tmp_path), "--out", str(tmp_path / "x")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("landmarkzoo: error: ")
    assert message in err
    assert err.count("\n") == 1


def test_errors_of_worker_processes_lose_their_traceback():
    def fail(_):
        raise ValueError("size 20 is odd")

    loader = torch.utils.data.DataLoader([1], num_workers=1, collate_fn=fail)
    with pytest.raises(ValueError, match="Original Traceback") as caught:
        next(iter(loader))
    assert error_line(caught.value) == "size 20 is odd"


def test_the_traceback_on_request(tmp_path):
    shown = landmarkzoo("search", "a", "b", env={**ENVIRONMENT, "LANDMARKZOO_TRACEBACK": "1"}, cwd=tmp_path)
    assert shown.returncode == 2
    assert shown.stderr.startswith(b"Traceback")
    assert shown.stderr.endswith(b"landmarkzoo: error: no descriptors file a\n")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp1252"])
def test_names_that_stdout_cannot_show(tmp_path, encoding):
    ids = [
        os.fsdecode(name) for name in (b"caf\xe9.jpg", "塔.jpg".encode(), b"line\nbreak\x1b[2J.jpg", b"a.jpg")
    ]
    lz.Descriptors(ids, np.eye(4)).save(tmp_path / "d")
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    for command in ("search", "rerank"):
        options = ["--neighbors", 2] if command == "rerank" else []
        done = landmarkzoo(command, "d", "d", "-k", 2, *options, cwd=tmp_path, env=environment)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"caf\\udce9.jpg" in done.stdout
        assert b"line\\nbreak\\x1b[2J.jpg" in done.stdout
        assert ("塔.jpg".encode() if encoding == "utf-8" else b"\\u5854.jpg") in done.stdout


def test_a_name_in_an_error_that_is_no_text(tmp_path):
    name = os.fsdecode(b"caf\xe9\x1b[2J")
    done = landmarkzoo("search", name, "b", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == b"landmarkzoo: error: no descriptors file caf\\udce9\\x1b[2J\n"
    assert printable("塔 ü\t") == "塔 ü\\t"


@pytest.mark.parametrize("arguments", [["models"], ["--help"], ["models", "--help"]], ids=" ".join)
class TestOutputThatNobodyReads:
    def test_closed_pipe(self, arguments):
        reader, writer = os.pipe()
        os.close(reader)
        done = landmarkzoo(*arguments, stdout=writer)
        os.close(writer)
        assert (done.returncode, done.stderr) == (0, b"")

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
    def test_full_disk(self, arguments):
        with open("/dev/full", "w") as full:  # noqa: PTH123
            done = landmarkzoo(*arguments, stdout=full)
        if arguments == ["models"]:
            assert (done.returncode, done.stderr) == (
                2,
                b"landmarkzoo: error: [Errno 28] No space left on device\n",
            )
        assert done.stderr.count(b"\n") <= 1


def test_an_address_is_no_file(capsys):
    for command in (
        ["embed", "https://example.org/a.jpg", "--out", "x"],
        ["search", "a", "s3://bucket/index"],
        ["evaluate", "photos", "http://example.org/d"],
        ["demo", "--photos", "ftp://example.org/photos"],
    ):
        assert main(command) == 2
        err = capsys.readouterr().err
        assert "is an address: download it first" in err
        assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        ([], 2),
        (["nonsense"], 2),
        (["embed"], 2),
        (["search", "--help"], 0),
    ],
    ids=str,
)
def test_help_and_wrong_arguments_do_not_wait_for_pytorch(arguments, code):
    script = (
        "import sys\nfrom landmarkzoo.cli import main\n"
        f"try: main({arguments!r})\n"
        f"except SystemExit as stopped: assert (stopped.code or 0) == {code}\n"
        "assert not {'torch', 'timm', 'numpy', 'PIL'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_warnings_are_one_line_or_silent(tmp_path):
    script = (
        "import warnings\nfrom landmarkzoo.cli import main\nfrom landmarkzoo.models import registry\n"
        "whole = registry.list_models\n"
        "def list_models(*a, **k):\n"
        "    warnings.warn('of\\n another library', UserWarning)\n"
        "    warnings.warn_explicit('of\\n ours', UserWarning, registry.__file__, 1)\n"
        "    return whole(*a, **k)\n"
        "registry.list_models = list_models\n"
        "raise SystemExit(main(['models']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0
    assert set(done.stderr.splitlines()) == {"landmarkzoo: warning: of ours"}


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo terminals")
def test_progress_bars_in_a_terminal_only(photo_folder, tmp_path):
    arguments = ["embed", photo_folder, "--image-size", 32, "--out"]
    assert landmarkzoo(*arguments, tmp_path / "a").stderr == b""
    for name, options in (("b", []), ("c", ["--quiet"])):
        ours, theirs = open_terminal()
        assert landmarkzoo(*arguments, tmp_path / name, *options, stderr=theirs).returncode == 0
        os.close(theirs)
        assert ("photos/s" in rest_of(ours)) == (not options)
