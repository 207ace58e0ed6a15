"""The database of the page, ``STATE/web/web.sqlite``, and the thread that writes it."""
