"""One module a noun of the command tree. Each registers its commands on the application it is given."""
