"""Oh-LoRA measures what Unsloth saves when a small LLM is fine-tuned into a Korean persona chatbot."""

__version__ = "0.1.0"
