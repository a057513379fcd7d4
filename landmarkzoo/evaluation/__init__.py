"""From a model, descriptors or rankings to scores with protocol and confidence interval.

``evaluate`` takes a model or descriptors and a data set, ``evaluate_*`` takes descriptors and searches first,
``score_*`` takes the results of any search, re-ranking or recogniser.
"""

from landmarkzoo.evaluation import gldv2_protocol  # noqa: F401 - registers itself with lz.evaluate
from landmarkzoo.evaluation.dataset_evaluation import evaluate, evaluate_dataset
from landmarkzoo.evaluation.evaluation_result import Evaluation
from landmarkzoo.evaluation.leave_one_out_protocol import evaluate_leave_one_out
from landmarkzoo.evaluation.oxford_paris_protocol import evaluate_revisited, score_revisited
from landmarkzoo.evaluation.recognition_protocol import evaluate_recognition, score_recognition
from landmarkzoo.evaluation.retrieval_protocol import evaluate_retrieval, score_retrieval

__all__ = [
    "Evaluation",
    "evaluate",
    "evaluate_dataset",
    "evaluate_leave_one_out",
    "evaluate_recognition",
    "evaluate_retrieval",
    "evaluate_revisited",
    "score_recognition",
    "score_retrieval",
    "score_revisited",
]
