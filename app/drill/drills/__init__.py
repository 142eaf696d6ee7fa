"""Each module holds the drills of one subject; `app/drill/catalogue.py` lists them all."""
