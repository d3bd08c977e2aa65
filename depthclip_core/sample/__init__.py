"""The sample: a small rendered indoor world in NYU Depth v2's own layout."""
