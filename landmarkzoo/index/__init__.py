"""Photos that are searched for years: an index on disk that grows, is corrected and is read meanwhile."""

from landmarkzoo.index.index_info import IndexInfo
from landmarkzoo.index.index_snapshot import IndexSnapshot
from landmarkzoo.index.living_index import Index
from landmarkzoo.index.many_ranks import Ranks, add_by_ranks
from landmarkzoo.index.planned_units import PlannedUnits, add_in_units

__all__ = [
    "Index",
    "IndexInfo",
    "IndexSnapshot",
    "PlannedUnits",
    "Ranks",
    "add_by_ranks",
    "add_in_units",
]
