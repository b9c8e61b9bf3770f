"""The store on PostgreSQL: any number of nodes."""
