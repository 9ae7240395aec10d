"""The command line: reads arguments, calls one named function, prints for people or, with --json, for programs."""
