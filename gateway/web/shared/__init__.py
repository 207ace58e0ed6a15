"""What every part of the page uses: words, templates, limits, and errors that become answers."""
