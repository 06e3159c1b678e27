"""The runner's command line: what a Job, a pipeline and a person start.

`main` is the entry; `commands` says what can be asked, `options` what can be given, `settings`
where the rest comes from, and `output` how it is told. `invocation` carries one command from its
options to its exit code, `app` what all of an invocation shares. Nothing here speaks SQL, and
nothing heavy (psycopg, pydantic, YAML, rich) is imported before a command needs it: a runner
starts in a Job and in a developer's shell.
"""
