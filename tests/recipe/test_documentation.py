"""``hcat show`` reads a component's source, or imports it where that does not suffice."""

import sys
import textwrap

import pytest

from hcat_core.cli.show import TABLES
from hcat_core.recipe.component_source import read_source
from hcat_core.recipe.documentation import document_component, document_table
from hcat_core.recipe.schema import DOCUMENTED_TABLES
from hcat_core.registry.catalog import load_catalog
from hcat_core.registry.component import Component

COMPONENTS = [entry.component for entry in load_catalog() if entry.provider.is_builtin]


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: f"{c.kind}-{c.name}")
def test_the_source_of_a_built_in_tells_what_importing_it_tells(component, monkeypatch):
    assert read_source(component) is not None
    from_source = document_component(component)
    monkeypatch.setattr("hcat_core.recipe.documentation.read_source", lambda component: None)
    assert document_component(component) == from_source


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A third-party component with this source."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "acme_component", raising=False)

    def write(source):
        (tmp_path / "acme_component.py").write_text(textwrap.dedent(source))
        return Component("imputer", "acme/one", "acme_component:One", "one")

    return write


PLAIN = """
    from __future__ import annotations
    from typing import Literal
    from hcat_core.interfaces import Imputer
    Mode = Literal["fast", "slow"]
    USUAL = "fast"
    class One:
        '''An imputer.'''
        def __init__(self, layout, *, first: Imputer, mode: Mode = USUAL, rank: int | None = None):
            pass
"""
OTHERS = {
    "a constructor of a base class that is made elsewhere": """
        def base():
            class Base:
                def __init__(self, layout, *, rank: int = 3): ...
            return Base
        class One(base()):
            '''An imputer.'''
    """,
    "a type of a module of its own": """
        from fractions import Fraction
        from pydantic import Field
        RANK = Fraction(6, 2).numerator
        class One:
            '''An imputer.'''
            def __init__(self, layout, *, rank: int = RANK): ...
    """,
    "a type in quotes": """
        class One:
            '''An imputer.'''
            def __init__(self, layout, *, rank: "int" = 3): ...
    """,
    "no docstring of its own": """
        class Base:
            '''An imputer.'''
        class One(Base):
            def __init__(self, layout, *, rank: int = 3): ...
    """,
}


def test_a_plain_third_party_component_is_not_imported(written):
    component = written(PLAIN)
    found = document_component(component)
    assert "acme_component" not in sys.modules
    assert found.text == "An imputer."
    assert [(row.name, row.type, row.default) for row in found.parameters] == [
        ("mode", 'one of "fast", "slow"', "fast"),
        ("rank", "a whole number", None),
        ("first", "table of an imputer", "(needed)"),
    ]


def test_the_parameters_of_a_base_in_another_module_are_found_without_importing_it(written, tmp_path):
    base = """
        FEW = 3

        class Base:
            def __init__(self, layout, *, rank: int = FEW) -> None: ...
    """
    (tmp_path / "acme_base.py").write_text(textwrap.dedent(base))
    component = written(
        """
        from acme_base import Base

        class One(Base):
            \"\"\"An imputer.\"\"\"
        """
    )
    found = document_component(component)
    assert not {"acme_component", "acme_base"} & set(sys.modules)
    assert [(row.name, row.default) for row in found.parameters] == [("rank", 3)]


@pytest.mark.parametrize("source", OTHERS.values(), ids=OTHERS)
def test_one_that_its_source_does_not_tell_is_imported(written, source):
    component = written(source)
    assert read_source(component) is None
    found = document_component(component)
    assert found.text == "An imputer."
    assert [(row.name, row.default) for row in found.parameters] == [("rank", 3)]


@pytest.mark.parametrize("name", DOCUMENTED_TABLES)
def test_every_key_of_every_table_is_described(name):
    rows = document_table(DOCUMENTED_TABLES[name]).parameters
    assert [row.name for row in rows if not row.meaning] == []


def test_a_table_shows_types_defaults_and_which_keys_are_needed():
    rows = {row.name: row for row in document_table(DOCUMENTED_TABLES["split"]).parameters}
    assert (rows["test"].type, rows["test"].default) == ("a number in [0, 1)", 0.15)
    assert document_table(DOCUMENTED_TABLES["targets"]).parameters[0].default == "(needed)"


def test_the_command_knows_every_table():
    assert set(TABLES) == set(DOCUMENTED_TABLES)
