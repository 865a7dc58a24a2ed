"""What each command of the command line does; `cli` finds it here when it is asked for."""
