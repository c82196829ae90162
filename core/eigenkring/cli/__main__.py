"""``python -m eigenkring.cli``, for where the console script is not on the path."""

from eigenkring.cli import main

main()
