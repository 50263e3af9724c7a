"""What a host keeps outside the database, in files that no owner of the database can reach."""
