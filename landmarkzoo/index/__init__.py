"""Photos that are searched for years: an index on disk that grows, is corrected and is read meanwhile."""

from landmarkzoo.index.index_info import IndexInfo
from landmarkzoo.index.living_index import Index

__all__ = ["Index", "IndexInfo"]
