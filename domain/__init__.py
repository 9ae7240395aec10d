"""Pure values and rules of bulk sending: no disk, no network, no clock, no Prefect."""
