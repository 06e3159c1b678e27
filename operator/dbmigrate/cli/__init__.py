"""The runner's command line: what a Job, a pipeline and a person start.

`main` is the entry; `commands` says what can be asked; `session` carries one command
from its options to its exit code. Where the database is comes from `settings`, with
`environment`, `secret` and `conninfo` for each kind of source. Output is `output_text`
for people and `output_json` for machines. Nothing here speaks SQL, and nothing heavy
(psycopg, pydantic, YAML, rich) is imported before a command needs it: a runner starts in
a Job and in a developer's shell.
"""
