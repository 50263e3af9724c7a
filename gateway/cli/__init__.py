"""The command line: operators', partners' and regulators' commands."""
