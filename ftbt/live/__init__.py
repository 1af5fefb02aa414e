"""Trading on an exchange, and what can be said of it afterwards."""
