"""R's random numbers: `set.seed`, `runif` and `rnorm` (Mersenne Twister, inversion).

R documents the algorithm in `?RNG`; with it, examples that were computed or printed by R are
repeated here without R.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

_TO_UNIT = 2.3283064365386963e-10
_BIG = 134217728  # 2^27


class RStream:
    """The stream of random numbers after `set.seed(seed)`."""

    def __init__(self, seed: int) -> None:
        value = seed % 2**32
        for _ in range(50):
            value = (69069 * value + 1) % 2**32
        words = []
        for _ in range(625):
            value = (69069 * value + 1) % 2**32
            words.append(value)
        self._twister = np.random.MT19937()
        key = np.array(words[1:], dtype=np.uint32)
        self._twister.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": 624}}

    def runif(self, n: int) -> np.ndarray:
        """The next *n* uniform numbers."""
        return self._twister.random_raw(n) * _TO_UNIT

    def rnorm(self, n: int) -> np.ndarray:
        """The next *n* standard normal numbers."""
        pairs = self.runif(2 * n).reshape(n, 2)
        return ndtri((np.floor(_BIG * pairs[:, 0]) + pairs[:, 1]) / _BIG)
