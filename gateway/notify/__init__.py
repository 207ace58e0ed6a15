"""Messages to people: ``control`` decides who gets which message; this role writes it, hands it
over (Apprise) and reports the result. No other role reads the addresses."""
