"""ftbt: back-testing and walk-forward validation that tells the truth about a strategy."""

__version__ = "0.1.0"
