"""Where work runs: one interface, `livestyle.scheduling.scheduler`, in front of processes and of Ray."""
