"""A session as one HTML file that needs nothing else: `page.page` makes it, ``assets`` holds what a browser gets."""
