"""Oh-LoRA: what Unsloth saves when a small LLM becomes a Korean persona chatbot, measured."""

__version__ = "0.1.0"
