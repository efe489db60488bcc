"""``python -m bayes_hybrid`` is the command ``bayes-hybrid``."""

from bayes_hybrid.cli import main

if __name__ == "__main__":
    main()
