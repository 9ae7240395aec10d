"""A separate process that plays SendGrid and Twilio: nothing is really sent. Imports nothing of the product."""
