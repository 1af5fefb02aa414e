"""The parts of the look-ahead audit; `ftbt.robustness.audit` puts them together."""
