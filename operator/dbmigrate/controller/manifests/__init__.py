"""Builds the objects that the operator creates: the Job and the Event. Pure: values to dicts."""
