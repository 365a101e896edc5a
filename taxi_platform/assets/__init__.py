"""What there is, one module per layer in the order the data flows: raw, cleaned (and quarantine), lake, warehouse."""
