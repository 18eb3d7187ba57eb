"""A reader whose parsing runs in another process, with limits of memory and time."""
