"""The commands of `landscape`, a module each, by the name of the verb."""
