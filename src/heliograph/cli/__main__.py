"""`python -m heliograph.cli` is the program `heliograph`."""

from heliograph.cli import main

main(prog_name="heliograph")
