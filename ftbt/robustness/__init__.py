"""Statistics that tell skill from luck: pure functions of arrays, each after its paper."""
