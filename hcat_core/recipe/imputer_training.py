"""Check that something trains the imputer, and that its keys are read, by what its class declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hcat_core.errors import Problem
from hcat_core.imputation.declared_training import DeclaringImputer, ImputerLoss, ImputerTraining
from hcat_core.recipe.component_tables import NamedComponent, components_in
from hcat_core.recipe.parameters import Parameters, load_parameters
from hcat_core.registry.catalog import Catalog
from hcat_core.registry.component import Component
from hcat_core.text.quoting import shown

CLOSED_FORM = "closed-form"  # tag of imputers without weights that are trained by steps
Losses = Sequence[Mapping[str, Any]]


def check_imputer_training(
    imputer: Mapping[str, Any], losses: Losses, gradient: bool, catalog: Catalog
) -> list[Problem]:
    """Report an imputer that nothing trains, and keys of it that change nothing.

    A key with its default value is not reported: saved recipes have all defaults filled in.

    Args:
        imputer: its checked table.
        losses: tables with their weights.
        gradient: whether the gradient of the prediction reaches the imputer.
        catalog: the components that there are.
    """
    declarations = list(_declarations(imputer, catalog))
    problems = []
    if gradient and _is_fixed(imputer, declarations, catalog):
        message = "changes nothing: the imputer has no weights that learn beside the predictor"
        problems.append(Problem("training.imputer_gradient", message))
    for part, declared in declarations:
        spec = load_parameters(catalog.find(part.kind, part.name), part.key)
        fields = spec.model.model_fields if isinstance(spec, Parameters) else {}
        for name, reason in declared.unread.items():
            if name in fields and part.table.get(name) not in (None, fields[name].default):
                problems.append(Problem(f"{part.key}.{name}", f"changes nothing: {reason}"))
        nested = part.key != "imputer"
        if declared.jointly and not nested and not gradient and not _weighed(losses, declared, catalog):
            message = "nothing trains it beside the predictor: add one of [[losses]] with use = "
            message += " or ".join(shown(name) for name in _losses_of_imputer(declared, catalog))
            message += ", freeze it, or set training.imputer_gradient = true"
            problems.append(Problem(part.key, message))
    return problems


def _declarations(
    imputer: Mapping[str, Any], catalog: Catalog
) -> Iterator[tuple[NamedComponent, ImputerTraining]]:
    for part in components_in(catalog, "imputer", imputer, "imputer"):
        cls = _loaded(catalog.registries[part.kind].find(part.name))
        if isinstance(cls, DeclaringImputer):
            yield part, cls.declare_training(part.table)


def _is_fixed(
    imputer: Mapping[str, Any],
    declarations: Sequence[tuple[NamedComponent, ImputerTraining]],
    catalog: Catalog,
) -> bool:
    """Whether no part of the imputer learns beside the predictor; False where a part does not say."""
    declared = {part.key: declaration.jointly for part, declaration in declarations}
    parts = list(components_in(catalog, "imputer", imputer, "imputer"))
    components = [catalog.registries[part.kind].find(part.name) for part in parts]
    return all(
        declared.get(part.key) is False or (component is not None and CLOSED_FORM in component.tags)
        for part, component in zip(parts, components, strict=True)
    )


def _weighed(losses: Losses, declared: ImputerTraining, catalog: Catalog) -> bool:
    """Whether a loss with a weight weighs what the imputer computes."""
    names = {str(table.get("use")) for table in losses if table.get("weight")}
    return not names.isdisjoint(_losses_of_imputer(declared, catalog))


def _losses_of_imputer(declared: ImputerTraining, catalog: Catalog) -> list[str]:
    """Names of the losses that weigh what the imputer computes."""
    components = [entry.component for entry in catalog.registries["loss"]]
    return [component.name for component in components if _weighs(component, declared)]


def _weighs(component: Component, declared: ImputerTraining) -> bool:
    cls = _loaded(component)
    if not isinstance(cls, ImputerLoss):
        return False
    return not declared.losses or any(map(cls.weighs_imputer_loss, declared.losses))


def _loaded(component: Component | None) -> object:
    try:
        return None if component is None else component.load()
    except Exception:  # a third party's module may raise anything; check_component has reported it
        return None
