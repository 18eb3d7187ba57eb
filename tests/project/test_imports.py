"""Imports point one way, plugins -> core; and the command line starts without torch."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_the_core_imports_no_plugin():
    guilty = [
        str(path)
        for path in (ROOT / "hcat_core").rglob("*.py")
        if any(name.partition(".")[0] == "hcat_builtin" for name in imported(path))
    ]
    assert guilty == []


def test_the_command_line_is_imported_by_nothing_in_the_core():
    guilty = [
        str(path)
        for path in (ROOT / "hcat_core").glob("*.py")
        if path.name != "__main__.py" and any(name.startswith("hcat_core.cli") for name in imported(path))
    ]
    assert guilty == []


def modules_after(*arguments: str) -> set[str]:
    code = (
        "import sys; from hcat_core.cli.main import main; "
        f"main({list(arguments)!r}); print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_show_imports_neither_torch_nor_a_component():
    for arguments in (["show", "imputer", "gaussian"], ["show", "estimator", "stack", "--json"]):
        loaded = modules_after(*arguments)
        assert not loaded & {"torch", "numpy", "pandas", "sklearn", "h5py", "scipy"}, arguments
        assert "hcat_builtin.imputers.gaussian" not in loaded


def test_help_and_the_list_import_neither_torch_nor_a_component():
    for arguments in (["--help"], ["run", "--help"], ["list-components", "--json"]):
        loaded = modules_after(*arguments)
        assert not loaded & {"torch", "numpy", "pandas", "sklearn", "h5py", "pydantic"}, arguments
        assert not any(name.startswith("hcat_builtin.") for name in loaded), arguments
