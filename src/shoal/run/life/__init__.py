"""The life of a crowd after its training: it is brought up to date, or taught to one student."""
