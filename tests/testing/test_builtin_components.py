"""Every built-in component keeps its contract; what it announces to fail is visible as xfail."""

import pytest

from hcat_core.registry.catalog import load_catalog
from hcat_core.testing.checks import checks_of, run_checks

BUILTIN = [
    (entry.component.kind, entry.component.name)
    for entry in load_catalog()
    if entry.provider.name == "builtin"
]


@pytest.mark.parametrize(("kind", "name"), BUILTIN, ids=[f"{k}-{n}" for k, n in BUILTIN])
def test_it_keeps_its_contract(kind, name):
    # Fewer epochs than the kit's own: enough to beat the mean, and the suite stays quick.
    catalog = load_catalog()
    spec_has_epochs = name in ("vae", "attention", "iterative")
    results = run_checks(catalog, kind, name, {"fit_epochs": 30} if spec_has_epochs else None)
    assert len(results) == len(checks_of(kind))
    assert [(r.check, r.message) for r in results if not r.good] == []
