"""What `make demo` starts: hub, adapter, a sample eMSP and a simulated charger, each a process of its own."""
