"""Our database, the truth about every batch: tables, and one named query a need."""
