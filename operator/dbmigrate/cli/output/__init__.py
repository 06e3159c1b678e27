"""How a run is told: text for people, JSON lines, a CI's forms; and the streams that carry them."""
