"""A runner of notebooks: parameters, runs, records, report. It knows nothing of depth."""
