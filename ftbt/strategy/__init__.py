"""Strategies written once: setup rules on shared lines, one compiled decision, orders."""
