"""The "Did you mean ...?" of errors about names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """A sentence that names the nearest candidates, with a leading space; empty if nothing is near.

    Examples:
        >>> did_you_mean("dilation", ["dilations", "stem_stride"])
        ' Did you mean dilations?'
    """
    near = difflib.get_close_matches(name, list(candidates), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(near)}?" if near else ""
