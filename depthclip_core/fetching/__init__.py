"""Files that their authors distribute and we may not: fetched, checked, put in their places."""
