"""Fine-tuning on photos of the user's own: ``finetune`` and the recipes as data.

``finetuning_job.py`` is the public call, ``job_start.py`` its beginning, ``epochs.py`` what follows.
``recipes.py`` has the settings. ``suspicious_photos.py`` looks at the photos before.
"""

from landmarkzoo.finetuning import checkpoints
from landmarkzoo.finetuning.finetuning_job import finetune
from landmarkzoo.finetuning.recipes import RECIPES, Recipe
from landmarkzoo.finetuning.results import FinetuneResult
from landmarkzoo.finetuning.suspicions import Suspicion, Suspicions
from landmarkzoo.finetuning.suspicious_photos import suspicious_photos

__all__ = [
    "RECIPES",
    "FinetuneResult",
    "Recipe",
    "Suspicion",
    "Suspicions",
    "checkpoints",
    "finetune",
    "suspicious_photos",
]
