"""Trading: the strategy object of a back-test on the exchange."""
