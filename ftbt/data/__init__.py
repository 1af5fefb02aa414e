"""Candles: validated arrays, store, downloads, the synthetic market, the Backtrader feed."""
