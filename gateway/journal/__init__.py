"""The journal: the one file in which the gateway remembers what happened.

Only ``control`` writes it (:class:`gateway.journal.writer.Journal`, a thread of its own);
every other role reads it (:class:`gateway.journal.queries.reader.Reader`). Outbox, history, audit
and the state after a restart are all read from here.
"""
