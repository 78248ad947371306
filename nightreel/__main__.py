"""`python -m nightreel`: the command, where no script of it is on the path."""

from nightreel.cli.main import main

if __name__ == "__main__":
    main()
