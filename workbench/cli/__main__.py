"""`python -m workbench.cli`, for where the `workbench` command is not on the path."""

from workbench.cli import main

if __name__ == "__main__":
    main()
