"""Statistics of arrays and of tables of columns; imports neither chemistry nor data nor models."""
