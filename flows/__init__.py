"""The story of a batch: which stage follows which. No logic lives here."""
