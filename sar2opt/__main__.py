"""``python -m sar2opt``: the command line, for torchrun and for whoever has no scripts folder."""

from sar2opt.cli import main

main()
