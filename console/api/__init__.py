"""The API for programs under `/api/v1`: one module for each kind of thing; `app` puts them together."""
