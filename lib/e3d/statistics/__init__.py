"""Statistics of arrays and of tables of columns; knows no chemistry, no models and no files."""
