"""What hcat stands on: permissive licences alone, and a lock that holds all of it."""

import ast
import re
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCK = [ROOT / "requirements" / name for name in ("reference.txt", "torch-cpu.txt")]
NEEDED = [Requirement(text) for text in
          tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]]  # fmt: skip

# Anyone may take these, for any purpose, and must do no more than keep the notice. MPL-2.0 is not among
# them: its files stay under it. Nothing in the core needs it.
PERMISSIVE = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC", "MIT", "MIT-CMU",
    "PSF-2.0", "Python-2.0", "Unlicense", "Zlib",
}  # fmt: skip
CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Python Software Foundation License": "PSF-2.0",
}
# Metadata that name no licence, and the words of the licence's own file that do.
BY_ITS_FILE = {"skops": ("MIT", "MIT License")}


def closure() -> dict[str, Distribution]:
    """What pip installs for hcat without extras, as it is here."""
    found: dict[str, Distribution] = {}
    waiting = list(NEEDED)
    for requirement in waiting:
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            raise AssertionError(f"{name} is needed and not installed") from None
        waiting += [Requirement(text) for text in found[name].requires or []]
    return found


CLOSURE = closure()


def licence(name: str) -> str:
    """As an SPDX expression."""
    metadata = CLOSURE[name].metadata
    if expression := metadata.get("License-Expression"):
        return expression
    classifiers = [c.split(" :: ")[-1] for c in metadata.get_all("Classifier", []) if "License ::" in c]
    known = [CLASSIFIERS[c] for c in classifiers if c in CLASSIFIERS]
    if known and len(known) == len(classifiers):
        return " AND ".join(known)
    if name in BY_ITS_FILE:
        expression, words = BY_ITS_FILE[name]
        files = [file for file in CLOSURE[name].files or [] if file.name.startswith("LICENSE")]
        assert any(words in file.read_text() for file in files)
        return expression
    return (metadata.get("License") or "unknown").strip()


def is_permissive(expression: str) -> bool:
    return any(
        all(part.split(" WITH ")[0].strip(" ()") in PERMISSIVE for part in choice.split(" AND "))
        for choice in expression.split(" OR ")
    )


@pytest.mark.parametrize("name", sorted(CLOSURE))
def test_the_licence_is_permissive(name):
    assert is_permissive(licence(name)), f"{name}: {licence(name)}"


def test_licences_with_further_conditions_are_recognised():
    for expression in ("GPL-3.0-or-later", "MPL-2.0", "MIT AND LGPL-2.1-only", "unknown", ""):
        assert not is_permissive(expression)
    for expression in ("MIT", "Apache-2.0 OR GPL-2.0-only", "(Apache-2.0 WITH LLVM-exception) AND MIT"):
        assert is_permissive(expression)


def test_the_gpl_oracle_of_the_tests_is_no_part_of_the_product():
    assert "scikit-survival" not in CLOSURE
    sources = [*(ROOT / "hcat_core").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]
    assert len(sources) > 100
    for path in sources:
        assert "sksurv" not in {
            name.partition(".")[0]
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else
                         [node.module or ""] if isinstance(node, ast.ImportFrom) else [])
        }, path  # fmt: skip


def locked() -> dict[str, tuple[Version, list[str]]]:
    """Version and hashes by name."""
    found = {}
    for path in LOCK:
        lines = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#"))
        for entry in lines.replace("\\\n", " ").split("\n"):
            if entry.strip():
                name, _, rest = entry.partition("==")
                version, *hashes = rest.split()
                found[canonicalize_name(name)] = (Version(version), hashes)
    return found


def test_every_dependency_is_locked_at_a_version_that_satisfies_it():
    lock = locked()
    for requirement in NEEDED:
        version, _ = lock[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version, prereleases=True), (requirement, version)


def test_every_locked_file_has_its_hash_and_none_names_a_place_to_fetch_from():
    lock = locked()
    assert len(lock) > 40
    for name, (_, hashes) in lock.items():
        assert hashes, name
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", text) for text in hashes), name
    for path in LOCK:
        assert "://" not in path.read_text() and "file:" not in path.read_text()
