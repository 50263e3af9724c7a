"""What speaks to a person at a terminal: words and tables, failures as sentences and exit codes, a terminal that is gone."""
