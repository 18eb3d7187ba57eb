"""Core, command line and built-in components can be imported without the modules that only POSIX has."""

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import hcat_builtin
import hcat_core

POSIX_ONLY = ("fcntl", "grp", "posix_spawn", "pty", "pwd", "resource", "syslog", "termios", "tty")
WITHOUT_POSIX = f"""
import importlib, os, signal, sys

# Libraries may use them: they are imported first, as they would be in their own builds for Windows.
LIBRARIES = "torch pandas sklearn.linear_model h5py matplotlib.figure rich.console joblib"
for library in LIBRARIES.split():
    importlib.import_module(library)

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name in {POSIX_ONLY!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

for name in {POSIX_ONLY!r}:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Hidden())
for name in ("SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGSTOP", "SIGTSTP"):
    if hasattr(signal, name):
        delattr(signal, name)
for name in ("alarm", "setitimer", "pthread_sigmask"):
    delattr(signal, name)
for name in ("fork", "killpg", "setsid", "getuid", "geteuid", "memfd_create", "MFD_CLOEXEC", "O_DIRECTORY",
             "O_NOFOLLOW", "sched_getaffinity", "sync", "uname", "getpgid"):
    if hasattr(os, name):
        delattr(os, name)
"""


def modules():
    for package in (hcat_core, hcat_builtin):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                yield module.name


def without_posix(code):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_POSIX + code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_every_module_is_imported():
    done = without_posix(
        "failed = []\n"
        f"for name in {list(modules())!r}:\n"
        "    try:\n"
        "        importlib.import_module(name)\n"
        "    except (ImportError, AttributeError) as error:\n"
        "        failed.append(f'{name}: {error}')\n"
        "print('\\n'.join(failed))\n"
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["list-components"], ["show", "imputer", "gaussian"]])
def test_the_command_line_answers(arguments):
    done = without_posix(f"from hcat_core.cli.main import main; sys.exit(main({arguments!r}))")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_an_hdf5_file_is_read_in_the_process_itself_where_it_cannot_be_isolated(tmp_path):
    """As on Windows; see ``hcat_builtin.readers.isolation.reader``."""
    path = tmp_path / "a.h5"
    done = without_posix(
        "import h5py, numpy as np\n"
        f"with h5py.File({str(path)!r}, 'w') as file:\n"
        "    file['patient_id'] = np.array([b'a', b'b']); file['embedding'] = np.ones((2, 3), np.float32)\n"
        "from pathlib import Path\n"
        "from hcat_builtin.readers.isolation import reader as isolation\n"
        "isolation.ISOLATED = False\n"
        "from hcat_builtin.readers.hdf5.reader import H5Reader\n"
        "from hcat_core.data.assembly import assemble_cohort\n"
        f"print(*assemble_cohort({{'m': H5Reader(path=Path({str(path)!r}))}})[0].patient_ids)\n"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "a b"), done.stderr
    assert Path(path).exists()
