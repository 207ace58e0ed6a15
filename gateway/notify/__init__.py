"""Messages to people: ``control`` decides who is told of what, this role says it and hands it
over (Apprise), and answers whether that worked. It knows the addresses; nobody else does."""
