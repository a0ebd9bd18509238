"""Custom fields of deals, contacts and companies: their definitions, their values, and conditions over them."""
