"""Pure, seeded statistics: bounds that gate, and how many rows they need."""
