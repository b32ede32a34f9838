"""Every sentence of the reports, in English and Korean."""
