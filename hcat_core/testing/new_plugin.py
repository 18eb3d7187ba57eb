"""Write a new plugin: an installable package with one component, its test, and a README.

The component starts as a copy of the example of its kind (``hcat_core/testing/examples``), which is
complete and keeps its contract.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from hcat_core import __version__
from hcat_core.errors import UsageError
from hcat_core.registry.component import Kind, with_article
from hcat_core.storage.new_folder import new_folder

NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Example:
    """The example of one kind: its module and class, what the catalog says of it, and how a recipe uses it.

    ``use`` has ``{name}`` for the component's name; ``expected`` names checks that it fails on purpose.
    """

    module: str
    class_name: str
    summary: str
    use: str
    expected: str = ""


EXAMPLES: dict[Kind, Example] = {
    "reader": Example(
        "npz_reader",
        "NpzReader",
        "rows of a .npz file",
        'hcat inspect RECIPE --set \'cohort.modalities.NAME={{use="{name}",path="FILE"}}\'',
    ),
    "imputer": Example(
        "shrunk_mean",
        "ShrunkMean",
        "the training mean, shrunk towards zero",
        "hcat run enhanced.toml --set imputer.use={name}",
        'expected_failures={"beats the mean": "it is the mean, shrunk"}',
    ),
    "fusion": Example(
        "mean_of_modalities",
        "MeanOfModalities",
        "the mean of one linear token per modality",
        "hcat run enhanced.toml --set fusion.use={name}",
    ),
    "head": Example(
        "linear_head",
        "LinearHead",
        "one logit, linear in the fused vector",
        "hcat run enhanced.toml --set heads.survival.use={name}",
    ),
    "loss": Example(
        "brier_loss",
        "BrierLoss",
        "the squared error of a probability",
        "hcat run enhanced.toml --set losses.0.use={name} --set losses.0.head=survival",
    ),
    "estimator": Example(
        "ridge_estimator",
        "RidgeEstimator",
        "ridge regression of each outcome",
        "hcat run enhanced.toml --set estimator.use={name}",
    ),
}


def write_plugin(folder: Path, plugin: str, kind: Kind, component: str | None = None) -> list[Path]:
    """Write the package ``hcat-PLUGIN`` with the component ``PLUGIN/COMPONENT``; returns its files.

    Args:
        folder: of the package; new or empty.
        plugin: name of the entry point, and of the package ``hcat_PLUGIN``.
        kind: of the component.
        component: its name in recipes after ``PLUGIN/``; by default that of the example.

    Raises:
        UsageError: for a name that Python or a recipe does not take, or a folder that is not empty.
        StorageError: when the disk is full or not writable.
    """
    example = EXAMPLES[kind]
    module = example.module if component is None else component.replace("-", "_")
    for what, name in (("plugin", plugin), ("component", module)):
        if not NAME.fullmatch(name):
            raise UsageError(
                f"the {what}'s name {name!r}: begin with a letter; small letters, digits and _ may follow."
            )
    package = f"hcat_{plugin}"
    name = f"{plugin}/{component or example.module}"
    source = (
        files("hcat_core.testing.examples").joinpath(f"{example.module}.py").read_text(encoding="utf-8")
    )
    texts = {
        "pyproject.toml": _project(plugin, package, kind, name),
        "README.md": _readme(plugin, kind, name, module, example),
        f"{package}/__init__.py": _hook(package, kind, name, module, example),
        f"{package}/{module}.py": source,
        f"tests/test_{module}.py": _test(kind, name, module),
    }
    with new_folder(folder) as made:
        for place, text in texts.items():
            path = made / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return [folder / place for place in texts]


def _project(plugin: str, package: str, kind: Kind, name: str) -> str:
    return f'''[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "hcat-{plugin}"
version = "0.1.0"
description = "{with_article(kind).capitalize()} for hcat: {name}"
requires-python = ">=3.11"
dependencies = ["hcat-core>={__version__}"]

[project.optional-dependencies]
test = ["pytest"]

[project.entry-points.hcat]
{plugin} = "{package}"

[tool.hatch.build.targets.wheel]
packages = ["{package}"]
'''


def _readme(plugin: str, kind: Kind, name: str, module: str, example: Example) -> str:
    show, check = f"hcat show {kind} {name}", f"hcat check {kind} {name}"
    return f"""# hcat-{plugin}

{with_article(kind).capitalize()} for hcat, in `hcat_{plugin}/{module}.py`: a working example to start from.

```sh
pip install -e ".[test]"
{show.ljust(len(check))}  # its description and parameters
{check}  # does it keep the contract of its kind?
{"pytest".ljust(len(check))}  # the same, as tests
{example.use.format(name=name)}
```
"""


def _hook(package: str, kind: Kind, name: str, module: str, example: Example) -> str:
    expected = f"            {example.expected},\n" if example.expected else ""
    return f'''"""What this plugin offers. Importing this must not import torch: a text names each class."""

from hcat_core.registry.component import Component
from hcat_core.registry.hooks import hookimpl


@hookimpl
def hcat_components():
    """The components of this plugin, for the catalog."""
    return [
        Component(
            "{kind}",
            "{name}",
            "{package}.{module}:{example.class_name}",
            "{example.summary}",
{expected}        )
    ]
'''


def _test(kind: Kind, name: str, module: str) -> str:
    return f'''"""{name} keeps the contract of its kind."""

from hcat_core.testing import conformance


@conformance("{kind}", "{name}")
def test_{module}(check):
    check()
'''
