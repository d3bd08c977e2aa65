"""What the notebooks ask: numbers and tables, no pictures."""
