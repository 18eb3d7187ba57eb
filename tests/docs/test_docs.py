"""Pages name only files, links and tests that exist; the recipes of the README run."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest

import hcat_core
from hcat_core import interfaces
from hcat_core.cli.main import hcat, main
from hcat_core.recipe.recipe import load_recipe
from hcat_core.recipe.schema import DOCUMENTED_TABLES
from hcat_core.registry.catalog import load_catalog
from hcat_core.registry.component import KINDS

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.joinpath("docs").rglob("*.md"), *ROOT.joinpath("benchmarks").glob("*.md")]
)
LIVING = [page for page in PAGES if "adr" not in page.parts and page.name != "CHANGELOG.md"]
FOLDERS = "hcat_core|plugins|recipes|tests|benchmarks|docs|requirements"
PATH = re.compile(rf"(?<![\w/.-])(?:{FOLDERS})/[\w./*{{}},-]*[\w*}}/]")
SYMBOL = re.compile(r"([\w/]+\.py)::(\w+)")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")


def names(pages):
    return [str(page.relative_to(ROOT)) for page in pages]


def headings(page):
    """The anchors of a page, as GitHub makes them."""
    found = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def exists(path):
    """Is there such a file or folder, or one that the pattern matches? Braces list alternatives."""
    braces = re.search(r"\{([^}]*)\}", path)
    if braces:
        return all(exists(path.replace(braces.group(), one)) for one in braces.group(1).split(","))
    return any(ROOT.glob(path.rstrip("/"))) if "*" in path else (ROOT / path).exists()


@cache
def names_in(path):
    """Classes and functions of a file; none of one that does not exist."""
    if not (ROOT / path).is_file():
        return set()
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_link_of_a_page_leads_somewhere(page):
    broken = []
    for pair in LINK.findall(page.read_text(encoding="utf-8")):
        target = pair[0] or pair[1]
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in headings(file)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", LIVING, ids=names(LIVING))
def test_every_path_that_a_page_names_exists(page):
    text = page.read_text(encoding="utf-8")
    missing = {path for path in PATH.findall(text) if not exists(path)}
    assert not missing


@pytest.mark.parametrize("page", LIVING, ids=names(LIVING))
def test_every_test_and_function_that_a_page_names_exists(page):
    found = SYMBOL.findall(page.read_text(encoding="utf-8"))
    missing = {f"{path}::{name}" for path, name in found if name not in names_in(path)}
    assert not missing


def commands_of(page):
    """The command lines of a page that start with ``hcat``: those of blocks, and those in backticks."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)```$", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`(hcat [^`]*)`", text)
    return [line.partition(" #")[0].split()[1:] for line in lines if line.startswith("hcat ")]


@pytest.mark.parametrize("page", LIVING, ids=names(LIVING))
def test_every_command_that_a_page_shows_has_its_options(page):
    unknown = []
    for command, *arguments in commands_of(page):
        if command.startswith("-"):
            continue
        found = hcat.get_command(None, command)
        options = (
            set() if found is None else {o for p in found.params for o in [*p.opts, *p.secondary_opts]}
        )
        given = {argument.partition("=")[0] for argument in arguments if argument.startswith("-")}
        unknown += [command] if found is None else sorted(given - options - {"-h", "--help"})
    assert not unknown


@pytest.mark.parametrize("page", LIVING, ids=names(LIVING))
def test_every_block_of_toml_on_a_page_can_be_read(page):
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^```toml\n(.*?)```$", text, flags=re.MULTILINE | re.DOTALL):
        tomllib.loads(block)


def test_every_decision_is_listed_with_its_state():
    listed = (ROOT / "docs/adr/README.md").read_text(encoding="utf-8")
    records = [page.name for page in ROOT.joinpath("docs/adr").glob("[0-9]*.md")]
    assert [name for name in records if f"({name})" not in listed] == []


def test_the_tree_on_the_page_on_architecture_is_in_the_order_of_the_import_contract():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = [layer.split(" | ") for layer in reversed(contracts["contracts"][0]["layers"])]
    height = {package: level for level, packages in enumerate(layers) for package in packages}
    page = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    tree = page.partition("## The tree")[2].partition("## ")[0]
    rows = re.findall(r"^  ((?:\w+/?)(?:, \w+)*)  ", tree, flags=re.MULTILINE)
    listed = [name.rstrip("/") for row in rows for name in row.split(", ")]
    assert sorted(listed) == sorted(height)
    assert [height[name] for name in listed] == sorted(height.values())


def test_the_readme_is_short_and_begins_with_its_two_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    commands = re.findall(r"^```sh\n(.*?)```$", text, flags=re.MULTILINE | re.DOTALL)[:2]
    assert [command.count("\n") for command in commands] == [1, 1]


@pytest.fixture
def readme_recipes(tmp_path, monkeypatch):
    """The README's recipe, the same with the estimator that it offers instead, and data for both."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```toml\n(.*?)```$", text, flags=re.MULTILINE | re.DOTALL)
    recipe, estimator = blocks[0], blocks[1]
    rng = np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    ids = [f"P{number:03d}" for number in range(150)]
    rows = [f"{i},{'f' if rng.random() < 0.5 else 'm'},{rng.integers(30, 90)}" for i in ids]
    (tmp_path / "data/clinical.csv").write_text("\n".join(["patient_id,sex,age", *rows]))
    rows = [f"{i},{rng.integers(50, 4000)},{rng.integers(0, 2)}" for i in ids]
    (tmp_path / "data/outcomes.csv").write_text("\n".join(["patient_id,days,died", *rows]))
    with h5py.File(tmp_path / "data/slides.h5", "w") as file:
        some = [i for i in ids if rng.random() < 0.7]
        file["patient_id"] = [i for i in some for _ in range(3)]
        file["embedding"] = rng.normal(size=(3 * len(some), 8)).astype("f4")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(recipe)
    (tmp_path / "other.toml").write_text(recipe[: recipe.index("[imputer]")] + estimator)
    return "mine.toml", "other.toml"


def test_the_recipes_of_the_readme_read_their_cohort(readme_recipes):
    for recipe in readme_recipes:
        assert main(["inspect", recipe, "-q"]) == 0


@pytest.mark.slow
def test_the_recipes_of_the_readme_run(readme_recipes):
    quick = ["--set=evaluation.baselines=[]", "--set=evaluation.bootstrap=0", "-q"]
    neural, other = readme_recipes
    assert main(["run", neural, "--epochs=1", "--set=evaluation.mc_samples=2", *quick]) == 0
    assert main(["run", other, *quick]) == 0


@pytest.mark.parametrize("name", ["document.toml", "enhanced.toml"])
def test_the_page_of_deviations_has_the_values_of_both_recipes(name):
    """The columns of its table are those of the recipes, so that neither changes without the other."""
    recipe, _ = load_recipe(ROOT / "recipes" / name, load_catalog())
    weights = {loss["use"]: loss["weight"] for loss in recipe.losses}
    training = recipe.training
    values = {
        "fusion.n_global_layers": recipe.fusion["n_global_layers"],
        "training.early_stop_patience": training.early_stop_patience,
        "training.moddrop": training.moddrop,
        "losses[use=kl].weight": weights.get("kl", "off"),
        "losses[use=imputation].weight": weights.get("imputation", "off"),
        "losses[use=infonce].weight": weights.get("infonce", "off"),
        "training.monitor": f"`{training.monitor}`",
    }
    column = 2 if name == "document.toml" else 3
    page = (ROOT / "docs/reference/enhanced-hcat.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in page.splitlines()]
    for key, value in values.items():
        (row,) = [row for row in rows if len(row) > 4 and f"`{key}`" in row[1]]
        assert row[column].strip() == str(value)


def test_the_reference_has_every_table_kind_and_public_name():
    """What the site writes of the code is asked for on a page: Sphinx cannot miss what no page names."""
    reference = (ROOT / "docs/reference").rglob("*.md")
    pages = {page.name: page.read_text(encoding="utf-8") for page in reference}
    tables = re.findall(r"^```\{recipe-table\} (\w+)$", pages["recipes.md"], flags=re.MULTILINE)
    assert sorted(tables) == sorted(DOCUMENTED_TABLES)
    assert [kind for kind in KINDS if f"{{component-kind}} {kind}\n" not in pages[f"{kind}.md"]] == []
    names = re.findall(r"^\.\. auto\w+:: (\w+)$", pages["api.md"], flags=re.MULTILINE)
    assert set(hcat_core.__all__) - set(names) == {"__version__", "HcatError", "hookimpl"}
    contracts = re.findall(r"^\.\. autoclass:: (\w+)$", pages["contracts.md"], flags=re.MULTILINE)
    offered = {name: getattr(interfaces, name) for name in interfaces.__all__}
    protocols = {name for name, one in offered.items() if getattr(one, "_is_protocol", False)}
    assert protocols - set(contracts) == set()
