"""What things are: door, room, contact, alarm, chain. Pure: no clock, thread, file or socket."""
