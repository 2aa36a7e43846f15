"""One module a command: the words of the command line."""
