"""Everything that the file may say, typed, with its unit and its default."""
