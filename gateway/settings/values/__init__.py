"""From the text of the file to values that know their place, with every error said."""
