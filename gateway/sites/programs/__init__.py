"""The API of the centre, and what programs ask for beside it."""
