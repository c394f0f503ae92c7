"""What is published: figures, tables, claims and the pipeline behind them."""
