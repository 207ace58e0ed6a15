"""The API under ``/api/v1``: JSON, typed, one error shape."""
