"""The project's documentation, and the tool that makes its reference pages from the code."""
