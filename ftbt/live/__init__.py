"""Trading for real: the very strategy objects of the back-test, on an exchange."""
