"""From an event to a delivery that has ended: publisher, matching, dispatcher, attempt, retry."""
