"""Fine-tuning on photos of the user's own: ``finetune`` and the recipes as data.

``finetuning_job.py`` is the public call, ``job_start.py`` its beginning, ``epochs.py`` what follows.
``recipes.py`` has the settings. ``photo_cleaning.py`` looks at the photos before.
"""

from landmarkzoo.finetuning import checkpoints
from landmarkzoo.finetuning.finetuning_job import finetune
from landmarkzoo.finetuning.photo_cleaning import suspicious_photos
from landmarkzoo.finetuning.photo_loader import PhotoLoader
from landmarkzoo.finetuning.recipes import RECIPES, Recipe
from landmarkzoo.finetuning.results import FinetuneResult
from landmarkzoo.finetuning.suspicions import Suspicion, Suspicions

__all__ = [
    "RECIPES",
    "FinetuneResult",
    "PhotoLoader",
    "Recipe",
    "Suspicion",
    "Suspicions",
    "checkpoints",
    "finetune",
    "suspicious_photos",
]
