"""What all tests share: which examples hypothesis draws.

The same examples at every run, or a change that has nothing to do with a failure would be held up
by it. New ones are looked for by `make search`, and what it finds becomes an example of its own.
"""

from hypothesis import settings

settings.register_profile("fixed", derandomize=True)
settings.register_profile("search", derandomize=False, print_blob=True)
settings.load_profile("fixed")
