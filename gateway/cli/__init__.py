"""The command line: operators', partners' and regulators' commands, the process supervisor and the demo."""
