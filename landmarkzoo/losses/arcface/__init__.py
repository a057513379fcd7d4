"""Sub-center ArcFace with dynamic margins."""
