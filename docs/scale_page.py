"""The tables of the page "A plan for internet scale", computed from what was measured and what is assumed.

    python docs/scale_page.py

writes them into `docs/guide/scale.md`, between their marks; the text around them stays. What was measured is
in two files, which other scripts write:

    python benchmarks/scale.py --out docs/scale.json
    python benchmarks/model_cost.py --out docs/model_cost.json
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_DOCS = Path(__file__).parent
_PAGE = _DOCS / "guide" / "scale.md"
MODELS = ("efficientnet_lite0_gem", "dolg_efficientnet_b5.gldv2x")  # a quick one, and one of the best

# Assumed: none of these was measured by us. The page lists them all.
CORES_A_GPU = 100  # cores like ours that embed as fast as one data-centre GPU
GPUS = {10**8: 8, 10**10: 256}
CORES_A_SERVER = 64
SERVER_GB = 512
CORE_HOUR, GPU_HOUR, SERVER_HOUR, DISK_GB_MONTH = 0.04, 3.00, 3.00, 0.10  # dollars
PHOTO_KB = 300
PQ_BYTES = 64  # of a code of product quantisation
READ = 1 / 256  # share of the vectors that IVF reads for a query
RERANKED = 1_000
REPLICAS = 2

Row = tuple[str, str, str]  # what, how much, how it is known


def assumed(_: Any, __: Any) -> str:
    """What nobody here has measured."""
    return _table(
        ("assumption", "value"),
        [
            ("one data-centre GPU embeds as fast as", f"{CORES_A_GPU} of the cores measured here"),
            ("a core for an hour", f"${CORE_HOUR:.2f}"),
            ("a GPU for an hour", f"${GPU_HOUR:.2f}"),
            (f"a server of {CORES_A_SERVER} cores and {SERVER_GB} GB for an hour", f"${SERVER_HOUR:.2f}"),
            ("a GB of SSD for a month", f"${DISK_GB_MONTH:.2f}"),
            ("a photo", f"{PHOTO_KB} kB"),
            ("a code of product quantisation", f"{PQ_BYTES} bytes a photo"),
            ("what IVF reads for a query", f"one of {1 / READ:.0f} vectors"),
            ("exact scan on more cores", "time divided by their number: memory may be slower"),
        ],
    )


def measured(scale: Any, _: Any) -> str:
    """An index on disk, by its size."""
    rows = []
    for size, found in scale["sizes"].items():
        cells = (found["open"] * 1e3, found["one"] * 1e3, found["hundred"] * 1e3, found["add"] * 1e3)
        rows.append(
            (
                f"{int(size):,}",
                *(f"{cell:,.{int(cell < 10)}f}" for cell in cells),
                f"{found['search MiB']:,.0f}",
            )
        )
    head = ("photos", "open, ms", "1 query, ms", "100 queries, ms", "add 1,000, ms", "memory to search, MiB")
    note = f"{scale['dim']} dimensions, {scale['storage']}; {scale['settings']}, load {scale['load']:.1f}."
    return f"{_table(head, rows)}\n{note}\n"


def million(scale: Any, cost: Any) -> str:
    """The first step."""
    size, rows = 10**6, []
    for model in MODELS:
        hours = _core_hours(cost, model, size)
        value = f"{_time(hours / 2)} on 2 cores, ${hours * CORE_HOUR:,.2f}"
        rows.append((f"embed, {model}", value, "measured rate; price assumed"))
    rows += _vectors(scale, size)
    found = _largest(scale)[1]
    rows += [
        ("open", f"{found['open'] * 1e3:,.0f} ms", "measured"),
        ("one query, exact", f"{found['one'] * 1e3:,.0f} ms on 2 cores", "measured"),
        ("memory beyond the page cache", f"{found['search MiB']:,.0f} MiB", "measured"),
        ("disk", _dollars(_gb(scale, size, 4) * DISK_GB_MONTH) + " a month", "computed; price assumed"),
    ]
    return _steps(rows)


def hundred_million(scale: Any, cost: Any) -> str:
    """The second step."""
    size = 10**8
    rows = [*_on_gpus(cost, size), *_vectors(scale, size), *_codes(size)]
    whole = _scan_seconds(scale, size) * 2 / CORES_A_SERVER
    rows += [
        ("one query, exact", f"{_time(whole / 3600)} on {CORES_A_SERVER} cores", "2-core rate, divided"),
        ("one query, IVF", f"{_time(whole * READ / 3600)}", "the same, for what is read"),
        _second_stage(scale),
        ("one server", _dollars(SERVER_HOUR * 730) + " a month", "price assumed"),
    ]
    return _steps(rows)


def ten_billion(scale: Any, cost: Any) -> str:
    """The third step."""
    size = 10**10
    codes = size * PQ_BYTES / 1e9
    servers = -(-codes // (SERVER_GB / 2)) * REPLICAS
    one_copy = servers / REPLICAS
    whole = _scan_seconds(scale, size) * 2 / CORES_A_SERVER / one_copy
    disk = _gb(scale, size, 2) * REPLICAS * DISK_GB_MONTH
    return _steps(
        [
            ("the photos themselves", f"{size * PHOTO_KB / 1e12:,.0f} PB", "size of a photo assumed"),
            *_on_gpus(cost, size),
            *_vectors(scale, size),
            *_codes(size),
            (
                "servers, codes in half their memory",
                f"{servers:.0f} ({REPLICAS} copies), {_dollars(servers * SERVER_HOUR * 730)} a month",
                "computed; price assumed",
            ),
            (f"SSD for float16, {REPLICAS} copies", _dollars(disk) + " a month", "computed; price assumed"),
            ("one query, exact", f"{_time(whole / 3600)} on {one_copy:.0f} of them", "2-core rate, divided"),
            ("one query, IVF of codes", _time(whole * READ / 3600), "the same, as if codes cost as vectors"),
            _second_stage(scale),
        ]
    )


TABLES: dict[str, Callable[[Any, Any], str]] = {
    "assumed": assumed,
    "measured": measured,
    "1 million": million,
    "100 million": hundred_million,
    "10 billion": ten_billion,
}


def page(text: str) -> str:
    """The page with the tables of today.

    Args:
        text: The page as it is.
    """
    scale = json.loads((_DOCS / "scale.json").read_text(encoding="utf-8"))
    cost = json.loads((_DOCS / "model_cost.json").read_text(encoding="utf-8"))
    for name, make in TABLES.items():
        begin, end = f"<!-- {name}: python docs/scale_page.py -->\n", "<!-- end of table -->"
        pattern = re.compile(re.escape(begin) + ".*?" + end, re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"the page has no mark {begin!r}")
        whole = f"{begin}\n{make(scale, cost)}\n{end}"
        text = pattern.sub(lambda _: whole, text)  # noqa: B023
    return text


def _core_hours(cost: Any, model: str, size: int) -> float:
    return float(cost["models"][model]["core seconds"]) * size / 3600


def _on_gpus(cost: Any, size: int) -> list[Row]:
    rows = []
    for model in MODELS:
        hours = _core_hours(cost, model, size) / CORES_A_GPU
        value = f"{_time(hours / GPUS[size])} on {GPUS[size]} GPUs, {_dollars(hours * GPU_HOUR)}"
        read = size * PHOTO_KB / 1e6 / (hours / GPUS[size] * 3600)  # GB a second
        value += f"; {read:,.1f} GB of photos a second"
        rows.append((f"embed, {model}", value, "measured rate of a core; the rest assumed"))
    return rows


def _vectors(scale: Any, size: int) -> list[Row]:
    """What an index takes on disk: vectors, and the rest of a row as it was measured."""
    value = f"{_bytes(_gb(scale, size, 4))} float32, {_bytes(_gb(scale, size, 2))} float16"
    return [("index on disk", value, "measured bytes a row")]


def _codes(size: int) -> list[Row]:
    return [("codes of product quantisation", _bytes(size * PQ_BYTES / 1e9), "size of a code assumed")]


def _second_stage(scale: Any) -> Row:
    value = f"{RERANKED * scale['dim'] * 2 / 1e6:.1f} MB read for {RERANKED:,} photos, float16"
    return "exact scores of the best, second stage", value, "computed"


def _largest(scale: Any) -> tuple[int, dict[str, float]]:
    size = max(scale["sizes"], key=int)
    return int(size), scale["sizes"][size]


def _gb(scale: Any, size: int, bytes_a_value: int) -> float:
    rows, found = _largest(scale)
    beside = found["bytes"] / rows - scale["dim"] * (4 if scale["storage"] == "float32" else 2)
    return size * (beside + scale["dim"] * bytes_a_value) / 1e9


def _scan_seconds(scale: Any, size: int) -> float:
    """One query over all vectors, on the 2 cores that were measured."""
    rows, found = _largest(scale)
    return found["one"] * size / rows


def _time(hours: float) -> str:
    for unit, inside in (("days", 1 / 24), ("h", 1.0), ("min", 60.0), ("s", 3600.0)):
        if hours * inside >= (2 if unit == "days" else 1):
            return f"{hours * inside:,.1f} {unit}"
    return f"{hours * 3.6e6:,.2g} ms" if hours * 3.6e6 < 10 else f"{hours * 3.6e6:,.0f} ms"


def _bytes(gb: float) -> str:
    return f"{gb / 1e3:,.1f} TB" if gb >= 1e3 else f"{gb:,.1f} GB"


def _dollars(value: float) -> str:
    return f"${value:,.2f}" if value < 10 else f"${value:,.0f}"


def _steps(rows: list[Row]) -> str:
    return _table(("what", "how much", "how it is known"), rows)


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    _PAGE.write_text(page(_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
