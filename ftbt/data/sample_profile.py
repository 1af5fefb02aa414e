"""What each coin of the synthetic market is like: price, volatility, correlation, volume."""

from __future__ import annotations

from dataclasses import dataclass

from ftbt.data.market import coin_of


@dataclass(frozen=True, slots=True)
class Profile:
    """The parameters of one coin.

    Attributes:
        price: first price, quote currency.
        daily_volatility: standard deviation of a day's return, as a fraction.
        loading: correlation of its shocks with the common factor; two coins correlate with the
            product of theirs.
        minute_volume: mean volume of a minute, in coins.
        hunting: strength of the hunt for stops beyond swing highs and lows, 0 for none.
    """

    price: float
    daily_volatility: float
    loading: float
    minute_volume: float
    hunting: float = 1.0


# Rounded to what the perpetuals of 2024 and 2025 showed. Correlations: BTC-ETH 0.80, SOL 0.74.
_PROFILES = {
    "BTC": Profile(42_000.0, 0.0225, 0.9, 160.0),
    "ETH": Profile(2_300.0, 0.03, 0.9, 2_400.0),
    "SOL": Profile(100.0, 0.0405, 0.84, 14_000.0),
}
# Any other coin is a small, wild one.
_OTHER = Profile(10.0, 0.055, 0.78, 50_000.0)


def profile_of(symbol: str) -> Profile:
    """Return the profile of the coin of *symbol*; unknown coins share one."""
    return _PROFILES.get(coin_of(symbol), _OTHER)
