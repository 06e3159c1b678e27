"""Where a command's settings come from: options, an environment's file, a Secret, the process."""
