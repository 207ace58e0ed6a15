"""From checked settings to the plan that the core understands, and its copy on the disk."""
