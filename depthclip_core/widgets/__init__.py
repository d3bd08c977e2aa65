"""What can be moved and clicked in a notebook."""
