"""`python -m taxi_platform.cli` is `taxi`, where the command itself is not on the path."""

from taxi_platform.cli.app import main

if __name__ == "__main__":
    main()
