"""A Charge Point Operator, from the socket of a charger to the CDR: a partner of the hub like any other."""
