"""Metrics by scikit-learn, for tests/all/kit/metrics.rs: `python metrics.py > metrics.txt`.

The test makes the same examples from the digits of a linear congruential generator.
"""

import numpy as np
import sklearn
from sklearn import metrics


def digits(n, seed, base):
    """n numbers from 0 to base - 1."""
    x, found = seed, []
    for _ in range(n):
        x = (1103515245 * x + 12345) % 2**31
        found.append((x >> 16) % base)
    return np.array(found)


def show(name, *numbers):
    print(f"{name}:", *(repr(float(x)) for x in numbers))


print(f"# scikit-learn {sklearn.__version__}, by tests/oracle/metrics.py")

# Scores of few values have many ties.
for n, values in [(50, 1000), (200, 7), (31, 2), (40, 1)]:
    positive = digits(n, 1, 3) == 0
    scores = digits(n, 2, values) / values + 0.1 * positive * (values > 2)
    show(f"roc_auc {n} {values}", metrics.roc_auc_score(positive, scores))

labels, scores = digits(60, 3, 4), digits(240, 4, 999).reshape(60, 4) + 1.0
probabilities = scores / scores.sum(axis=1, keepdims=True)
show("log_loss", metrics.log_loss(labels, probabilities))
for k in [1, 2, 3, 4]:
    show(f"top {k}", metrics.top_k_accuracy_score(labels, scores, k=k))

# Class 4 has predictions and no example, class 5 an example and no prediction, class 6 neither.
actual, predicted = digits(80, 5, 4), digits(80, 6, 5)
predicted = np.where(digits(80, 7, 2) == 0, actual, predicted)
actual[0] = 5
classes = dict(labels=range(7), zero_division=np.nan)
for name, average in [("classes", None), ("macro", "macro"), ("weighted", "weighted")]:
    for score in ["precision", "recall", "f1"]:
        value = getattr(metrics, f"{score}_score")(actual, predicted, average=average, **classes)
        show(f"{name} {score}", *np.atleast_1d(value))
show("micro f1", metrics.f1_score(actual, predicted, average="micro"))
