"""DepthCLIP itself: similarities, bin weights, depth, and all of it in one call."""
