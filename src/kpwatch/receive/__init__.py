"""Remote Write bodies -> frames on disk: what is admitted, what it is called, and the HTTP edge that says so."""
