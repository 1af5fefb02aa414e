"""Walk-forward: optimise on the past, test on what came next, stitch the tests together."""
