"""Sub-center ArcFace with dynamic margins; ``head.py`` says how to read it."""
