"""Files: read an operator's list safely, write example and result files, keep files. Knows no database."""
