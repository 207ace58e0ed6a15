"""Reading what happened, beside the writer and with no right to write."""
