"""The notebooks' questions, as numbers and tables without pictures."""
