"""EnOcean radio through a serial stick: bytes, profiles, and the stick that points share."""
