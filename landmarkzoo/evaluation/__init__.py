"""From a model, descriptors or rankings to scores with protocol, confidence interval and values a query.

``score_*`` takes the results of any search, re-ranking or recogniser; ``evaluate_*`` takes descriptors and
searches first; ``evaluate`` takes a model and a data set.
"""

from landmarkzoo.evaluation import published_protocols  # noqa: F401 - registers them
from landmarkzoo.evaluation.dataset_protocols import evaluate, evaluate_dataset
from landmarkzoo.evaluation.evaluation_result import Evaluation
from landmarkzoo.evaluation.leave_one_out import evaluate_leave_one_out
from landmarkzoo.evaluation.recognition_protocol import evaluate_recognition, score_recognition
from landmarkzoo.evaluation.retrieval_protocol import evaluate_retrieval, score_retrieval
from landmarkzoo.evaluation.revisited_scores import evaluate_revisited, score_revisited

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
