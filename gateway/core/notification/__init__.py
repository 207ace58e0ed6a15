"""Who is told of what: the alarm list, chains, messages by the clock, and who is on duty."""
