"""Open-loop load: schedule, samples, judgement."""
