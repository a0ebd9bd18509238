"""What is sold: the catalogue of products, the lines of deals with their discounts, and templates of lines."""
