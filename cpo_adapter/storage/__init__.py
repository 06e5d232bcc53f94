"""What the adapter must not forget, in PostgreSQL: facts before their answers, state to push, CDRs for ever."""
