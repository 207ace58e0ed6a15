"""What the page keeps for itself in ``STATE/web/web.sqlite``, and the thread that writes it."""
