"""Engines that run a strategy over candles by the execution model, and their result."""
