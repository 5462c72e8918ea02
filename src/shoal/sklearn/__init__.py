"""scikit-learn estimators: a crowd that is fitted, tuned and piped like any other estimator."""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError as error:
    raise ImportError("shoal.sklearn needs scikit-learn: pip install 'shoal[sklearn]'") from error

from shoal.sklearn.classifier import CollectiveClassifier
from shoal.sklearn.regressor import CollectiveRegressor

__all__ = ["CollectiveClassifier", "CollectiveRegressor"]
