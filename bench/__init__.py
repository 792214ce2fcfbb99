"""What the service does per second, beside what its PostgreSQL could do at most: `club bench`, `make bench`."""
