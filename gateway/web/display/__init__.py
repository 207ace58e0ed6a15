"""The display at reception: a screen of its own rights, which shows calls and doors."""
