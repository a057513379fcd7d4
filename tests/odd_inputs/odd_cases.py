"""Odd inputs as data, and what must hold for each of them.

A command answers with exit code 0, or with 2 and exactly one line on stderr. It changes no file but its
output, and leaves nothing beside it. A call of the library gives the right answer, or the declared error, in
one line.
"""

import hashlib
import os
import shlex
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from landmarkzoo.cli import main


@dataclass(frozen=True)
class Command:
    """One odd call of the command line.

    Attributes:
        name: Of the case.
        line: The arguments, as a shell would split them.
        error: What the one line on stderr says, and the exit code is 2; ``None``: it is 0.
        out: What stdout says.
        make: Makes the odd thing, in the working folder.
        writes: The files that are new or another after it.
        warns: What other lines on stderr say, where the exit code is 0.
        more: Arguments behind the others, which no shell could pass so.
        fault: Why it is not so yet.
    """

    name: str
    line: str
    error: str | None = None
    out: str = ""
    make: Callable[[], object] = lambda: None
    writes: tuple[str, ...] = ()
    warns: str = ""
    more: tuple[str, ...] = ()
    fault: str | None = None

    def check(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Run it in the folder, and see that all holds."""
        self.make()
        before = contents(folder)
        capsys.readouterr()
        code = exit_code([*shlex.split(self.line), *self.more])
        out, err = capsys.readouterr()
        assert code in (0, 2), err
        if self.error is None:
            assert code == 0, err
            assert self.warns in err
            assert bool(err) == bool(self.warns), err
        else:
            assert code == 2, f"no error, but: {out}{err}"
            assert err.startswith("landmarkzoo: error: ")
            assert err.endswith("\n")
            assert len(err.splitlines()) == 1, err
            assert self.error in err
            assert "Traceback" not in err
            assert "LANDMARKZOO_TRACEBACK" not in err  # no error that nobody thought of
        assert self.out in out
        after = contents(folder)
        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        assert changed == set(self.writes)


@dataclass(frozen=True)
class Call:
    """One odd call of the library.

    Attributes:
        name: Of the case.
        call: Called in the working folder.
        error: The exception that it raises; ``None``: it gives what is right.
        says: What the message of the exception says.
        right: Whether what it gives is right.
        fault: Why it is not so yet.
    """

    name: str
    call: Callable[[], Any]
    error: type[Exception] | tuple[type[Exception], ...] | None = None
    says: str = ""
    right: Callable[[Any], object] = lambda _: True
    fault: str | None = None

    def check(self, folder: Path) -> None:
        """Call it, and see that all holds."""
        before = contents(folder)
        if self.error is None:
            assert self.right(self.call())
        else:
            with pytest.raises(self.error) as raised:
                self.call()
            text = str(raised.value)
            assert self.says in text
            assert len(text.splitlines()) == 1, text
        assert contents(folder) == before


def params(cases: list[Any]) -> list[Any]:
    """Cases for ``parametrize``; one that is not so yet must fail."""
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), "two cases have one name"
    marks = [[] if c.fault is None else [pytest.mark.xfail(strict=True, reason=c.fault)] for c in cases]
    return [pytest.param(c, id=c.name, marks=m) for c, m in zip(cases, marks)]


def exit_code(arguments: list[str]) -> int | str | None:
    """Exit code of a command in this process."""
    try:
        return main(arguments)
    except SystemExit as stopped:
        return stopped.code


def contents(folder: Path) -> dict[str, tuple[str, ...]]:
    """What is in a folder, by name: kind, rights and content. Pipes and devices are not opened."""
    found: dict[str, tuple[str, ...]] = {}
    for parent, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            if name.startswith(".coverage."):  # of worker processes, when coverage is measured
                continue
            path = Path(parent) / name
            mode = path.lstat().st_mode
            content = str(path.readlink()) if stat.S_ISLNK(mode) else ""
            if stat.S_ISREG(mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            found[path.relative_to(folder).as_posix()] = (oct(mode), content)
    return found
