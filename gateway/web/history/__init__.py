"""What happened: events, charts and exports."""
