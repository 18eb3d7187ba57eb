"""The conformance kit: what third parties run on their components.

On the command line ``hcat check imputer acme/mean``; in a test suite::

    from hcat_core.testing import conformance

    @conformance("imputer", "acme/mean")
    def test_acme_mean(check):
        check()
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hcat_core.registry.component import Kind


def conformance(
    kind: Kind, name: str, *, expected_failures: dict[str, str] | None = None, **parameters: Any
) -> Callable[[Any], Any]:
    """Parametrise a test over every check of a component; the test calls its argument ``check``.

    Args:
        kind: of the component.
        name: as in a recipe.
        expected_failures: check -> reason; beside those that the component declares. They become xfail.
        **parameters: of the component's recipe table.
    """
    import pytest

    from hcat_core.registry.catalog import load_catalog
    from hcat_core.testing.checks import checks_of, subject_of

    catalog = load_catalog()
    component = catalog.find(kind, name)
    expected = {**component.expected_failures, **(expected_failures or {})}
    cases = []
    for check in checks_of(kind):
        marks = [pytest.mark.xfail(reason=expected[check.name])] if check.name in expected else []

        def run(check: Any = check) -> None:
            check.function(subject_of(catalog, kind, name, parameters))

        cases.append(pytest.param(run, id=check.name.replace(" ", "_"), marks=marks))
    return pytest.mark.parametrize("check", cases)


__all__ = ["conformance"]
