"""Valid inputs of a model, from its signature, the policy and known rows; drawn with numpy."""
