"""The public interface: its names, its types, its examples, and how little importing it costs."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

import hcat_core

PACKAGE = Path(hcat_core.__file__).parent
MODULES = ["api.cohort", "api.imputers", "recipe.retarget"]


def test_the_stub_imports_every_public_name_from_where_it_comes():
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    imported = {
        name.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    assert imported == hcat_core._PUBLIC
    (listed,) = (ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign))
    assert listed == hcat_core.__all__


def test_the_public_names_are_sorted_and_documented():
    assert sorted(hcat_core._PUBLIC, key=str.lower) == sorted(hcat_core.__all__[1:], key=str.lower)
    for name in hcat_core._PUBLIC:
        assert getattr(hcat_core, name).__doc__, name


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_docstrings_are_true(name):
    tested = doctest.testmod(importlib.import_module(f"hcat_core.{name}"))
    assert tested.attempted and not tested.failed
