import numpy as np
import pytest

from hcat_core.errors import DataError
from hcat_core.recipe.build import build_estimator


def test_a_file_that_is_damaged_or_has_untrusted_types_is_refused(tmp_path, estimators):
    import skops.io
    from sklearn.svm import SVC

    found, recipe, context = estimators.fitted("logistic")
    found.estimator.save(tmp_path)

    class Stranger(SVC):
        pass

    Stranger.__module__, Stranger.__qualname__ = "evil.module", "Stranger"
    skops.io.dump({"x": np.random.default_rng(0)}, tmp_path / "survival.skops")
    again = build_estimator(recipe, estimators.catalog, estimators.cohort.layout)
    try:
        again.load(tmp_path, context)
    except DataError as error:
        assert "survival.skops" in str(error)
    (tmp_path / "survival.skops").write_bytes(b"not a zip")
    with pytest.raises(DataError, match=r"survival\.skops: damaged"):
        again.load(tmp_path, context)
