"""`python -m ftbt` is the same program as `ftbt`."""

from ftbt.cli.main import entry

if __name__ == "__main__":
    entry()
