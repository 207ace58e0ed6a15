"""What makes the page an app on a phone: its description, its icons, and its service worker."""
