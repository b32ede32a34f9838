"""The page of a judgement: did it help, what broke, what did it cost."""
