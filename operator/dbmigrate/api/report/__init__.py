"""What a runner tells its reader: JSON lines while it works, the result as the last line.

With ``--output json`` every line on stdout is one JSON object with the key
``event``. The last line is ``{"event": "result", …}`` and holds the whole
`result.RunResult`. The same result, shortened to 4,096 bytes, is written to the
container's termination message file. The database's history stays the truth;
this is news of it.

Times are RFC 3339 in UTC, durations are milliseconds, versions are ``X.Y.Z``
without the ``v``. Keys are camelCase. Unknown keys are ignored by the reader, so
that a newer runner can talk to an older operator.

Each module holds the shapes of one subject; `codec` turns them into JSON data and back.
"""
