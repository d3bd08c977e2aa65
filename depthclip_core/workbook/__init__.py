"""Run notebooks: parameters, runs, records, report. Nothing here knows about depth."""
