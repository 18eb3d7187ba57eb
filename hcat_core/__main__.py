"""``python -m hcat_core`` is the ``hcat`` command."""

from hcat_core.cli.main import main

if __name__ == "__main__":
    main()
