"""The conformance kit: checks that authors of plugins run on their components.

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
        kind: the kind of the component.
        name: its name, as a recipe gives it.
        expected_failures: reasons by check, in addition to those that the component declares; these checks
            become xfail.
        **parameters: keys of the component's recipe table.
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
