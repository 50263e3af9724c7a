"""PostgreSQL: pool, named queries, migrations and the stores behind the ports of the rule packages."""
