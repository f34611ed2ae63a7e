"""`python -m streams.cli`: the same as the `headrace` command."""

from streams.cli import main

main()
