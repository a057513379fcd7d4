"""Fine-tuning on photos of the user's own: ``finetune`` and the recipes as data.

``finetuning_job.py`` is the public call, and ``training_job.py`` what it does, from the first photo to the
last file. ``recipes.py`` has the settings.
"""

from landmarkzoo.finetuning.finetuning_job import finetune
from landmarkzoo.finetuning.recipes import RECIPES, Recipe
from landmarkzoo.finetuning.results import FinetuneResult

__all__ = ["RECIPES", "FinetuneResult", "Recipe", "finetune"]
