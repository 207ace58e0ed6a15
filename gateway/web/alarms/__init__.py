"""The list of alarms, and having seen one."""
